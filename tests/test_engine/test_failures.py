"""How a tool ends, and what it means by a misspelt option."""

import weakref

import pytest
import torch
from mmengine.registry import Registry

from lore_mm.engine.failures import run_main
from lore_mm.engine.suggestions import meant_option, nearest


class InACycle:
    """Held by itself, as a runner by its loops."""

    def __init__(self) -> None:
        self.me = self


def test_nothing_of_a_run_outlives_the_process_group(monkeypatch):
    kept = []
    calls = []

    def main() -> None:
        kept.append(weakref.ref(InACycle()))

    dist = torch.distributed
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(dist, 'barrier', lambda: calls.append(kept[0]()))
    monkeypatch.setattr(dist, 'destroy_process_group', lambda: calls.append(0))
    run_main(main)
    assert calls == [None, 0]


class Base:
    def __init__(self, shots=1) -> None:
        self.shots = shots


class Derived(Base):
    def __init__(self, ratio=0.1, **kwargs) -> None:
        super().__init__(**kwargs)


@pytest.mark.parametrize(
    'option, meant',
    [
        ('shot', " (did you mean 'shots'?)"),
        ('rati', " (did you mean 'ratio'?)"),
        ('elephant', ''),
    ],
)
def test_what_a_misspelt_option_means(option, meant):
    registry = Registry('things')
    registry.register_module(module=Derived)
    with pytest.raises(TypeError) as caught:
        registry.build({'type': 'Derived', option: 2})
    assert meant_option(caught.value) == meant


def test_other_errors_mean_nothing():
    assert meant_option(ValueError('no')) == ''
    assert nearest('lrr', ['lr', 'momentum']) == 'lr'
    assert nearest('x', ['lr']) is None
