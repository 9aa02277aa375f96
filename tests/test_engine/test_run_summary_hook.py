"""What a run says first and last."""

import re
import shlex
from pathlib import Path

import pytest
from torch import nn

from lore_mm.engine.hooks import RunSummaryHook
from lore_mm.engine.hooks.run_summary_hook import count_parameters


def test_count_parameters():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    model[0].requires_grad_(False)
    assert count_parameters(model) == (25, 41)


def test_lines(tiny_runner):
    runner = tiny_runner()
    runner.train()
    log = Path(runner.logger.handlers[1].baseFilename).read_text()
    trained, total = count_parameters(runner.model)
    assert 0 < trained < total
    assert (
        f'trainable {trained:,} of {total:,} parameters '
        f'({100 * trained / total:.2f} %)'
    ) in log
    assert log.index('trainable ') < log.index('Epoch(train)')
    best = runner.message_hub.get_info('best_ckpt')
    assert re.search(rf'Best checkpoint \(\d+\.\d+\): {best}\n', log)
    command = re.search('Test it with: (.*)', log).group(1)
    tool, config, checkpoint = shlex.split(command)[1:]
    assert checkpoint == best
    for path in (tool, config, checkpoint):
        assert Path(path).is_file(), path


def test_without_validation(tiny_runner):
    runner = tiny_runner(train_cfg__val_begin=9)
    runner.train()
    log = Path(runner.logger.handlers[1].baseFilename).read_text()
    assert 'Best checkpoint' not in log
    assert re.search('Test it with: .*/epoch_2.pth\n', log)


@pytest.mark.parametrize('mean', [[1.0, 2.0, 3.0], None])
def test_other_normalisation_is_told(tiny_runner, mean):
    said = (
        'data_preprocessor.mean is [1.0, 2.0, 3.0], the Black Box was pre-tr'
    )
    change = dict(model__data_preprocessor__mean=mean) if mean else {}
    runner = tiny_runner(**change)
    RunSummaryHook().before_train(runner)
    log = Path(runner.logger.handlers[1].baseFilename).read_text()
    assert (said in log) is bool(mean)
