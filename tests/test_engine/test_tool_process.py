"""Tools in processes of their own: logs, errors, and their end."""

import os
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from lore_mm.engine import CheckpointError, ConfigError, tool_process
from lore_mm.engine.tool_process import (
    ToolError,
    best_checkpoint,
    run_tool,
    share_batch,
    train_and_test,
)


def script(folder: Path, text: str) -> Path:
    file = folder / 'tool.py'
    file.write_text(text)
    return file


def test_log_and_error(tmp_path) -> None:
    log = tmp_path / 'logs' / 'tool.txt'
    run_tool(script(tmp_path, 'import sys; print(sys.argv[1])'), [3], log)
    assert log.read_text() == '3\n'
    with pytest.raises(ToolError, match=r'tool.py failed: no good \(all of'):
        run_tool(script(tmp_path, 'import sys; sys.exit("no good")'), [], log)
    assert log.read_text() == '3\nno good\n'
    env = dict(os.environ, SAID='hello')
    run_tool(
        script(tmp_path, 'import os; print(os.environ["SAID"])'),
        [],
        log,
        env=env,
    )
    assert log.read_text().endswith('hello\n')


@pytest.mark.skipif(sys.platform != 'linux', reason='prctl is of Linux')
def test_tool_ends_with_a_killed_parent(tmp_path) -> None:
    note = tmp_path / 'note'
    tool = script(
        tmp_path,
        'import os, time, pathlib\n'
        f'pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\n'
        'time.sleep(60)\n',
    )
    parent = get_context('fork').Process(
        target=run_tool, args=(tool, [], tmp_path / 'log')
    )
    parent.start()
    for _ in range(600):
        if note.exists() and note.read_text():
            break
        time.sleep(0.05)
    child = int(note.read_text())
    parent.kill()
    parent.join()
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        status = Path(f'/proc/{child}/stat')
        if not status.exists() or status.read_text().split()[2] == 'Z':
            return
        time.sleep(0.05)
    raise AssertionError('the tool lives on')


def test_best_checkpoint(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match='no checkpoint in'):
        best_checkpoint(tmp_path)
    (tmp_path / 'checkpoint.pth').touch()  # of adapt
    assert best_checkpoint(tmp_path).name == 'checkpoint.pth'
    (tmp_path / 'epoch_2.pth').touch()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    assert best_checkpoint(tmp_path).name == 'epoch_2.pth'
    for i, name in enumerate(('best_x_epoch_9', 'best_x_epoch_10')):
        file = tmp_path / f'{name}.pth'
        file.touch()
        os.utime(file, (i, i))
    assert best_checkpoint(tmp_path).name == 'best_x_epoch_10.pth'


@pytest.mark.parametrize(
    'save_best,wanted',
    [
        (['a/x', 'a/x_y'], 'best_a_x_epoch_9'),
        (['a/x_y', 'a/x'], 'best_a_x_y_epoch_2'),
        ('a/x', 'best_a_x_epoch_9'),
        ('auto', None),
        (None, None),
    ],
)
def test_best_of_several_metrics(tmp_path, save_best, wanted) -> None:
    """The first that the config names, not what was written last."""
    hook = dict(checkpoint=dict(save_best=save_best))
    meta = dict(cfg=f'default_hooks = {hook!r}' if save_best else '')
    names = ('best_a_x_epoch_8', 'best_a_x_epoch_9', 'best_a_x_y_epoch_2')
    for i, name in enumerate(names):
        file = tmp_path / f'{name}.pth'
        torch.save(dict(meta=meta), file)
        os.utime(file, (i, i))
    if wanted is not None:
        assert best_checkpoint(tmp_path).stem == wanted
        return
    with pytest.raises(
        CheckpointError, match=r'best_a_x_y_epoch_2\.pth.*: give the file'
    ):
        best_checkpoint(tmp_path)


BATCH = 'train_dataloader.batch_size'


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    """A config that trains in batches of 32."""
    monkeypatch.setenv('LOCAL_RANK', '0')  # reading a config sets it
    file = tmp_path / 'config.py'
    file.write_text('train_dataloader = dict(batch_size=32)\n')
    return file


@pytest.mark.parametrize(
    'options,processes,share',
    [
        ([], 1, []),
        ([f'{BATCH}=7'], 1, []),
        ([], 4, [f'{BATCH}=8']),
        ([f'{BATCH}=6', 'model.a=1'], 3, [f'{BATCH}=2']),
        ([f'{BATCH}=6', f'{BATCH}=8'], 2, [f'{BATCH}=4']),
    ],
)
def test_processes_share_the_batch(config, options, processes, share) -> None:
    assert share_batch(config, options, processes) == share


@pytest.mark.parametrize(
    'options,processes,said',
    [
        ([], 0, '--processes must be at least 1, got 0'),
        ([], 5, 'a batch of 32 images cannot be divided among 5 processes; '),
        ([f'{BATCH}=2'], 4, 'a batch of 2 images cannot be'),
        ([f'{BATCH}=None'], 2, f'{BATCH} must be a number .* got None'),
        (['train_dataloader=None'], 2, f'{BATCH} must be a number'),
    ],
)
def test_batches_that_cannot_be_shared(
    config, options, processes, said
) -> None:
    with pytest.raises(ValueError, match=said) as failure:
        share_batch(config, options, processes)
    assert '\n' not in str(failure.value)


@pytest.fixture
def calls(monkeypatch, tmp_path) -> list:
    """What would be run, and with how many processes."""
    made = []

    def run(script, args, log, processes=1, **kwargs):
        args = [str(arg) for arg in args]
        made.append((script.name, args, processes))
        if '--out' in args:
            Path(args[args.index('--out') + 1]).write_text('{"a": 1}')
        else:
            (tmp_path / 'run').mkdir()
            (tmp_path / 'run' / 'best_epoch_1.pth').touch()

    monkeypatch.setattr(tool_process, 'run_tool', run)
    return made


def test_several_processes_train_by_the_recipe_of_one(
    config, calls, tmp_path
) -> None:
    options = [f'{BATCH}=16', 'model.a=1']
    found = train_and_test(
        *('tools', config, tmp_path / 'run', options),
        amp=True,
        processes=2,
    )
    assert found == {'a': 1}
    (train, train_args, two), (test, test_args, again) = calls
    assert (train, test, two, again) == ('train.py', 'test.py', 2, 2)
    at = train_args.index('--cfg-options')
    assert train_args[at + 1 :] == [*options, f'{BATCH}=8']  # the last counts
    assert f'{BATCH}=8' not in test_args
    assert '--amp' in train_args[:at]
    assert '--amp' in test_args
    # What is done is not run again.
    train_and_test('tools', config, tmp_path / 'run', options, processes=2)
    assert len(calls) == 2


def test_nothing_is_run_with_a_batch_that_cannot_be_shared(
    config, calls, tmp_path
) -> None:
    with pytest.raises(ConfigError, match='cannot be divided'):
        train_and_test('tools', config, tmp_path / 'run', processes=3)
    assert not calls
    # Without training there is nothing to share.
    (tmp_path / 'run').mkdir()
    train_and_test('tools', config, tmp_path / 'run', train=False, processes=3)
    assert [name for name, *_ in calls] == ['test.py']
