"""A run that was killed and resumed ends as one that was not."""

import signal

import pytest
import torch

KILLER = """
import os
import signal

from mmengine.hooks import Hook

from lore_mm.registry import HOOKS


@HOOKS.register_module()
class Killer(Hook):
    def __init__(self, where):
        self.where = where

    def after_train_iter(self, runner, **kwargs):
        if self.where == 'iteration' and runner.iter == 9:
            os.kill(os.getpid(), signal.SIGKILL)

    def after_train_epoch(self, runner):
        if self.where == 'saving' and runner.epoch == 1:
            os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
"""


def same(a, b, path=''):
    """Whether two nested states agree to the bit."""
    assert type(a) is type(b), path
    if isinstance(a, dict):
        assert list(a) == list(b), path
        for key in a:
            same(a[key], b[key], f'{path}/{key}')
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f'{path}/{i}')
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    else:
        assert a == b, path


@pytest.mark.parametrize('where', ['iteration', 'saving'])
def test_killed_and_resumed(
    start_tool, call_tool, tiny_config, tmp_path, where
):
    options = dict(
        train_cfg__max_epochs=3,
        train_dataloader__num_workers=2,
        model__backbone__white_box__drop_rate=0.2,
    )
    whole = tiny_config(name='whole', **options)
    call_tool('train.py', whole)

    (tmp_path / 'killer.py').write_text(KILLER)
    cut = tiny_config(
        name='cut',
        custom_imports__imports=['lore_mm', 'killer'],
        custom_hooks=[dict(type='lore_mm.Killer', where=where)],
        **options,
    )
    result = start_tool('train.py', cut)
    assert result.returncode == -signal.SIGKILL, result.stderr
    work = tmp_path / 'work'
    assert [p.name for p in (work / 'cut').glob('epoch_*')] == ['epoch_1.pth']
    assert (work / 'cut' / '.epoch_2.pth.tmp').exists() == (where == 'saving')

    cut = tiny_config(name='cut', **options)
    call_tool('train.py', cut, '--resume')
    names = [
        sorted(p.name for p in (work / run).glob('*.pth'))
        for run in ('whole', 'cut')
    ]
    assert names[0] == names[1]
    for name in names[0]:
        ends = [
            torch.load(work / run / name, weights_only=True)
            for run in ('whole', 'cut')
        ]
        for part in set(ends[0]) - {'meta', 'message_hub'}:
            same(ends[0][part], ends[1][part], part)
        same(
            ends[0]['message_hub']['log_scalars']['train/loss'],
            ends[1]['message_hub']['log_scalars']['train/loss'],
        )
    assert not list((work / 'cut').glob('.*'))
