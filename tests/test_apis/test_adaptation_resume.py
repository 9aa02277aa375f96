"""adapt: cut off and started again, moved, by several at once."""

import json
import shutil
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock
from mmengine.runner import Runner

from lore_mm.apis import adapt
from lore_mm.apis.adaptation import run
from lore_mm.engine.hooks import SafeCheckpointHook

from .conftest import times

pytestmark = pytest.mark.usefixtures('own_scope')


def trained(out):
    content = torch.load(out / 'checkpoint.pth', weights_only=True)
    return content['state_dict']


@contextmanager
def cut_after_an_epoch(monkeypatch):
    """A training that is killed once a checkpoint is written."""
    save = SafeCheckpointHook.after_train_epoch

    def cut(self, runner):
        save(self, runner)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SafeCheckpointHook, 'after_train_epoch', cut)
        yield


def test_goes_on_where_it_was_cut_off(folder, small, tmp_path, monkeypatch):
    small['epochs'] = 2
    whole = adapt(folder, tmp_path / 'whole', **small)
    out = tmp_path / 'out'
    cut = cut_after_an_epoch(monkeypatch)
    with cut, pytest.raises(KeyboardInterrupt):
        adapt(folder, out, **small)
    assert not (out / 'metrics.json').exists()
    new = folder / 'class_0/new.png'
    shutil.copy(folder / 'class_0/000.png', new)
    with pytest.raises(ValueError, match=r'not listed: class_0/new\.png'):
        adapt(folder, out)
    new.unlink()
    files = times(out)
    (folder / 'class_0').rename(folder / 'other')
    with pytest.raises(ValueError, match='unknown: other; missing: class_0'):
        adapt(folder, out)
    (folder / 'other').rename(folder / 'class_0')
    (out / 'splits.json').rename(tmp_path / 'splits.json')
    with pytest.raises(ValueError, match=r'splits\.json is gone: another'):
        adapt(folder, out)
    (tmp_path / 'splits.json').rename(out / 'splits.json')
    assert times(out) == files
    with monkeypatch.context() as patch:
        patch.setattr(run, 'score', None)  # cut off again, after training
        with pytest.raises(TypeError):
            adapt(folder, out, resume=True)
    assert not (out / 'report.html').exists()
    with monkeypatch.context() as patch:
        patch.setattr(run, 'train', None)
        result = adapt(folder, out)
    assert result.metrics == whole.metrics
    for key, value in trained(whole.out).items():
        torch.testing.assert_close(trained(out)[key], value)


def test_time_of_all_starts(folder, small, tmp_path, monkeypatch):
    small['epochs'] = 2
    out, now = tmp_path / 'out', [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(run, 'time', clock)
    save, cut_in = SafeCheckpointHook.after_train_epoch, [1]

    def take_a_minute(self, runner):
        now[0] += 60
        if runner.epoch in cut_in:
            raise KeyboardInterrupt
        save(self, runner)

    monkeypatch.setattr(SafeCheckpointHook, 'after_train_epoch', take_a_minute)
    with pytest.raises(KeyboardInterrupt):
        adapt(folder, out, **small)
    assert json.loads((out / 'adaptation.json').read_text())['seconds'] == 60
    cut_in.clear()  # its second minute is lost, and spent again
    page = adapt(folder, out).report.read_text('utf-8')
    assert '2.0 minutes' in page
    assert json.loads((out / 'adaptation.json').read_text())['seconds'] == 120


@pytest.mark.parametrize('old_is_there', [False, True])
def test_goes_on_where_it_was_moved_to(
    folder, small, tmp_path, monkeypatch, old_is_there
):
    small['epochs'] = 2
    whole = adapt(folder, tmp_path / 'whole', **small)
    first, out = tmp_path / 'first', tmp_path / "Tom's ({2})"
    cut = cut_after_an_epoch(monkeypatch)
    with cut, pytest.raises(KeyboardInterrupt):
        adapt(folder, first, **small)
    shutil.copytree(first, out)
    if not old_is_there:
        shutil.rmtree(first)
    files = times(first)
    result = adapt(folder, out)
    assert times(first) == files
    assert first.exists() == old_is_there
    assert result.metrics == whole.metrics
    for key, value in trained(whole.out).items():
        torch.testing.assert_close(trained(out)[key], value)


def test_loading_processes_are_those_of_the_call(
    folder, small, tmp_path, monkeypatch
):
    used = []
    build = Runner.build_dataloader

    def note(loader, **kwargs):
        used.append(loader['num_workers'])
        return build(dict(loader, num_workers=0), **kwargs)

    monkeypatch.setattr(Runner, 'build_dataloader', staticmethod(note))
    small['workers'] = 1
    cut = cut_after_an_epoch(monkeypatch)
    with cut, pytest.raises(KeyboardInterrupt):
        adapt(folder, tmp_path / 'out', **small)
    assert set(used) == {1}
    used.clear()
    adapt(folder, tmp_path / 'out', workers=3)
    assert set(used) == {3}


def test_two_at_work_in_one_folder(folder, small, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    with FileLock(out / '.lock'):
        with pytest.raises(ValueError, match='another adaptation is at work'):
            adapt(folder, out, **small)
        assert [path.name for path in out.iterdir()] == ['.lock']
    adapt(folder, out, **small)  # what a killed process left is no obstacle
