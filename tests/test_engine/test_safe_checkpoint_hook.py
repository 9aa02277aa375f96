"""The last good checkpoint survives a failure; the best one is kept."""

import errno
import os
from pathlib import Path

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook

from lore_mm.engine import CheckpointError, safe_load_checkpoint
from lore_mm.engine.hooks import safe_checkpoint_hook


def checkpoints(runner):
    return sorted(p.name for p in Path(runner.work_dir).glob('*.pth'))


def leftovers(runner):
    return [p.name for p in Path(runner.work_dir).glob('.*')]


class FullDisk(Hook):
    """Files take ``size`` bytes and then fail, from one epoch on.

    A limit of the operating system would hit this process's own output too,
    where that goes to a file.
    """

    priority = 'LOW'

    def __init__(self, epoch, size, monkeypatch):
        self.epoch, self.size, self.monkeypatch = epoch, size, monkeypatch

    def after_train_epoch(self, runner):
        if runner.epoch == self.epoch:
            self.monkeypatch.setattr(LocalBackend, 'put', self.put)

    def put(self, obj, filepath):
        Path(filepath).write_bytes(obj[: self.size])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_keeps_one_last_and_one_best(tiny_runner):
    runner = tiny_runner(train_cfg__max_epochs=3)
    runner.train()
    log = Path(runner.logger.handlers[1].baseFilename).read_text()
    assert 'Checkpoints will be saved to' in log
    assert 'will be deprecated' not in log  # advice to mmengine itself
    last, best = 'epoch_3.pth', runner.message_hub.get_info('best_ckpt')
    assert checkpoints(runner) == sorted([last, Path(best).name])
    note = Path(runner.work_dir, 'last_checkpoint').read_text()
    assert note == f'{runner.work_dir}/{last}'
    assert leftovers(runner) == []


def test_keeps_as_many_as_asked_over_a_resume(tiny_runner):
    options = dict(
        default_hooks__checkpoint__max_keep_ckpts=2,
        default_hooks__checkpoint__save_best=None,
    )
    tiny_runner(train_cfg__max_epochs=3, **options).train()
    runner = tiny_runner(train_cfg__max_epochs=4, resume=True, **options)
    assert checkpoints(runner) == ['epoch_2.pth', 'epoch_3.pth']
    runner.train()
    assert checkpoints(runner) == ['epoch_3.pth', 'epoch_4.pth']


@pytest.mark.parametrize('size', [100_000, 4096])
def test_full_disk(tiny_runner, monkeypatch, size):
    runner = tiny_runner(train_cfg__max_epochs=3)
    runner.register_hook(FullDisk(1, size, monkeypatch))
    with pytest.raises(
        CheckpointError,
        match=r'cannot save .*epoch_2.pth \(No space left on device\); the '
        r'last good checkpoint is .*epoch_1.pth. Make room',
    ):
        runner.train()
    names = checkpoints(runner)
    assert names == ['best_accuracy_top1_epoch_1.pth', 'epoch_1.pth']
    for name in names:
        safe_load_checkpoint(Path(runner.work_dir, name))
    assert leftovers(runner) == []


def test_full_disk_while_the_best_is_saved(tiny_runner, monkeypatch):
    """The first best and both last checkpoints are there and whole."""
    runner = tiny_runner(train_cfg__max_epochs=3)
    replace = os.replace

    def fail(source, target):
        if 'best' in str(target) and runner.epoch == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    class Better(Hook):
        priority = 'HIGHEST'

        def after_val_epoch(self, runner, metrics=None):
            metrics['accuracy/top1'] = float(runner.epoch)

    runner.register_hook(Better())
    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(CheckpointError, match='No space left on device'):
        runner.train()
    names = checkpoints(runner)
    assert names == ['best_accuracy_top1_epoch_1.pth', 'epoch_2.pth']
    for name in names:
        safe_load_checkpoint(Path(runner.work_dir, name))
    assert leftovers(runner) == []


def test_full_disk_while_noting_the_newest(tmp_path, monkeypatch):
    note = tmp_path / 'last_checkpoint'
    note.write_text('old')

    def fail(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(CheckpointError, match='a.pth is whole'):
        safe_checkpoint_hook._write_note(tmp_path, 'a.pth')
    assert note.read_text() == 'old'


def test_unknown_metric(tiny_runner):
    runner = tiny_runner(default_hooks__checkpoint__save_best='mAP')
    with pytest.raises(
        ValueError, match=r"metrics \['accuracy/top1'\], got 'mAP'"
    ):
        runner.train()


def test_several_best_checkpoints(tiny_runner):
    runner = tiny_runner(
        val_evaluator=[
            dict(type='Accuracy', topk=(1,)),
            dict(type='SingleLabelMetric', items=('recall',)),
        ],
        default_hooks__checkpoint__save_best=[
            'accuracy/top1',
            'single-label/recall',
        ],
        train_cfg__max_epochs=3,
    )
    runner.train()
    kinds = [name.rsplit('_epoch', 1)[0] for name in checkpoints(runner)]
    assert kinds == [
        'best_accuracy_top1',
        'best_single-label_recall',
        'epoch_3.pth',
    ]


def test_cut_off_validation_is_repeated(tiny_runner):
    """Killed after epoch 2 was saved, before it was validated."""

    class Kill(Hook):
        def before_val(self, runner):
            if runner.epoch == 2:
                raise KeyboardInterrupt

    whole = tiny_runner(name='whole', train_cfg__max_epochs=3)
    whole.train()
    cut = tiny_runner(name='cut', train_cfg__max_epochs=3)
    cut.register_hook(Kill())
    with pytest.raises(KeyboardInterrupt):
        cut.train()
    resumed = tiny_runner(name='cut', train_cfg__max_epochs=3, resume=True)
    resumed.train()
    assert checkpoints(resumed) == checkpoints(whole)
    best = [
        torch.load(r.message_hub.get_info('best_ckpt'), weights_only=True)
        for r in (whole, resumed)
    ]
    assert best[0]['meta']['epoch'] == best[1]['meta']['epoch']
    for key, value in best[0]['state_dict'].items():
        assert torch.equal(best[1]['state_dict'][key], value), key
