"""Reading local weight files."""

import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lore_mm.engine.files import CheckpointError, safe_load_checkpoint
from lore_mm.models.black_boxes.weights import (
    check_sources,
    load_weights,
    native_grid,
    strict_load,
    take_part,
)


@pytest.fixture
def model() -> nn.Module:
    """Two linear maps under the names a and b."""
    return nn.ModuleDict({'a': nn.Linear(3, 4), 'b': nn.Linear(4, 2)})


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize('wrapper', [None, 'state_dict', 'model'])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_torch_file(tmp_path, model, wrapper, prefix):
    state = model.state_dict()
    content = {prefix + key: value for key, value in state.items()}
    if wrapper:
        content = {'epoch': 3, wrapper: content}
    torch.save(content, tmp_path / 'weights.pth')
    loaded = load_weights(str(tmp_path / 'weights.pth'))
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_safetensors_file_in_home(tmp_path, model, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    save_file(model.state_dict(), tmp_path / 'weights.safetensors')
    loaded = load_weights('~/weights.safetensors')
    assert torch.equal(loaded['a.weight'], model['a'].weight)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.pth.*not exist'):
        load_weights(str(tmp_path / 'nowhere.pth'))


@pytest.mark.parametrize('part', [0.0, 0.01, 0.5, 0.9])
@pytest.mark.parametrize('kind', ['safetensors', 'zip', 'legacy'])
def test_truncated_file(tmp_path, model, kind, part):
    name = 'weights.safetensors' if kind == 'safetensors' else 'weights.pth'
    file = tmp_path / name
    if kind == 'safetensors':
        save_file(model.state_dict(), file)
    else:
        torch.save(
            model.state_dict(),
            file,
            _use_new_zipfile_serialization=kind == 'zip',
        )
    content = file.read_bytes()
    load_weights(str(file))
    file.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=f'{name}.* damaged'):
        load_weights(str(file))


def test_pickle_that_would_run_code(tmp_path):
    folder = tmp_path / 'made-by-the-trap'
    torch.save({'a': Trap(str(folder))}, tmp_path / 'trap.pth')
    with pytest.raises(
        ValueError, match='trap.pth.*not unpickled .*mkdir.*'
    ) as error:
        load_weights(str(tmp_path / 'trap.pth'))
    assert 'weights_only' not in str(error.value)  # no advice to run it
    assert not folder.exists()


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        ([1, 2], ''),
        ({}, ''),
        ({'epoch': 3, 'net': {}}, 'not tensors are epoch, net'),
        ({1: torch.zeros(2)}, 'not tensors are 1'),
    ],
)
def test_no_state_dict(tmp_path, content, named):
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=f'holds no state dict.*{named}'):
        load_weights(str(tmp_path / 'other.pth'))


def test_strict_load(model):
    state = {key: value + 1 for key, value in model.state_dict().items()}
    strict_load(model, state, 'file')
    assert torch.equal(model['b'].bias, state['b.bias'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('b.bias'), 'missing: b.bias.'),
        (
            lambda s: s.update({'c.bias': torch.zeros(2)}),
            'unexpected: c.bias.',
        ),
        (
            lambda s: s.update({'a.bias': torch.zeros(5)}),
            r'of another shape: a.bias \(5,\) instead of \(4,\).',
        ),
        (
            lambda s: s.update({f'c{i}': torch.zeros(1) for i in range(9)}),
            'unexpected: c0, c1, c2, c3, c4, c5 and 3 more.',
        ),
    ],
)
def test_what_does_not_fit_is_named(model, change, message):
    state = model.state_dict()
    before = {key: value.clone() for key, value in state.items()}
    change(state)
    with pytest.raises(RuntimeError, match=f"'file' does not fit.*{message}"):
        strict_load(model, state, 'file')
    assert all(
        torch.equal(value, before[key])
        for key, value in model.state_dict().items()
    )


def test_classifier_is_dropped_by_name(model):
    head = {'head.weight': torch.zeros(9, 2), 'head.bias': torch.zeros(9)}
    state = {**model.state_dict(), **head}
    strict_load(model, state, 'file', drop=['head.'])
    with pytest.raises(RuntimeError, match='unexpected: head.bias, head.wei'):
        strict_load(model, state, 'file')
    model['head'] = nn.Linear(2, 9)  # a head that the model has is loaded
    strict_load(model, state, 'file', drop=['head.'])
    assert not model['head'].weight.any()


def test_take_part():
    state = {'v.a': 1, 'v.t.b': 2, 't.b': 3, 'scale': 4, 'odd': 5}
    part = take_part(state, 'v.', ['t.', 'scale'])
    assert part == {'a': 1, 't.b': 2, 'odd': 5}
    alone = {'a': 1, 't.b': 2}
    assert take_part(alone, 'v.', ['t.', 'scale']) == alone


def test_native_grid():
    assert native_grid(49, (3, 5), 'file') == (7, 7)
    assert native_grid(15, (3, 5), 'file') == (3, 5)
    for number in (14, 0, -1):
        with pytest.raises(
            ValueError, match=f'{number} positions.*makes 3 x 5'
        ):
            native_grid(number, (3, 5), 'file')


def test_two_sources():
    check_sources(True, None)
    check_sources(False, 'file')
    with pytest.raises(ValueError, match='two sources'):
        check_sources('openai', 'file')


@pytest.mark.parametrize('zipped', [True, False])
def test_file_cut_off_anywhere(tmp_path, model, zipped):
    file = tmp_path / 'weights.pth'
    state = model.state_dict()
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    content = file.read_bytes()
    for size in range(0, len(content) - 1, max(1, len(content) // 300)):
        file.write_bytes(content[:size])
        with pytest.raises(ValueError, match='weights.pth.* damaged'):
            load_weights(str(file))
        with pytest.raises(CheckpointError, match='weights.pth'):
            safe_load_checkpoint(file)
