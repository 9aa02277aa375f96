"""A White Box with random weights is not scored."""

from types import SimpleNamespace

import pytest
from torch import nn

from lore_mm.engine import ConfigError
from lore_mm.engine.hooks import WhiteBoxCheckHook


def runner(white_box, loaded=False, iteration=0):
    model = nn.Module()
    model.backbone = nn.Module()
    model.backbone.white_box = white_box
    return SimpleNamespace(model=model, _has_loaded=loaded, iter=iteration)


def test_a_random_white_box_is_refused():
    with pytest.raises(ConfigError, match='white_box=None for the bare'):
        WhiteBoxCheckHook().before_test(runner(nn.Identity()))


@pytest.mark.parametrize(
    'args', [(None,), (nn.Identity(), True), (nn.Identity(), False, 5)]
)
def test_all_else_goes_on(args):
    assert WhiteBoxCheckHook().before_test(runner(*args)) is None
    bare = SimpleNamespace(model=nn.Identity(), _has_loaded=False, iter=0)
    assert WhiteBoxCheckHook().before_test(bare) is None
