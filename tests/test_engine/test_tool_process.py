"""Tools in processes of their own: logs, errors, and their end."""

import os
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from lore_mm.engine.tool_process import ToolError, best_checkpoint, run_tool


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
