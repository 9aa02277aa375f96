"""Run the tools of this package one after the other, each in a process."""

import ctypes
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .files import latest_checkpoint

_PARENT_DIES = 1  # PR_SET_PDEATHSIG of Linux
_ADAPTED = 'checkpoint.pth'  # what adapt keeps of its training


class ToolError(RuntimeError):
    """A tool ended with an error."""


def run_tool(
    script: str | Path,
    args: Sequence,
    log: str | Path,
    processes: int = 1,
    env: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> None:
    """Run a Python tool; what it prints is added to a file.

    On Linux the tool ends when this process does, even by SIGKILL.

    Args:
        script (str | Path): The tool.
        args (Sequence): Its arguments.
        log (str | Path): File for what it prints.
        processes (int): More than one: start it by torchrun, with
            ``--launcher pytorch``. Defaults to 1.
        env (Mapping[str, str], optional): Its environment. Defaults to None,
            this one's.
        keep_open (Sequence[int]): File descriptors that it inherits, such as
            that of a lock.

    Raises:
        ToolError: It failed; the message has its last line and the file.
    """
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable]
    if processes > 1:
        command += ['-m', 'torch.distributed.run', '--standalone']
        command += ['--nproc_per_node', str(processes)]
    command += [str(script), *map(str, args)]
    if processes > 1:
        command += ['--launcher', 'pytorch']
    with log.open('a') as file:
        code = subprocess.call(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            pass_fds=keep_open,
            preexec_fn=_end_with_parent,
        )
    if code:
        lines = log.read_text(errors='replace').strip().splitlines()
        last = lines[-1] if lines else 'no output'
        raise ToolError(
            f'{Path(script).name} failed: {last} (all of it: {log})'
        )


def _end_with_parent() -> None:
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PARENT_DIES, signal.SIGTERM)


def best_checkpoint(folder: str | Path) -> Path:
    """The checkpoint to test: best on the validation set, else the last.

    A folder of ``adapt`` has one checkpoint of its own name.

    Raises:
        FileNotFoundError: There is none.
    """
    best = sorted(
        Path(folder).glob('best_*.pth'), key=lambda path: path.stat().st_mtime
    )
    found = best[-1] if best else latest_checkpoint(folder)
    adapted = Path(folder) / _ADAPTED
    if found is None and adapted.is_file():
        found = adapted
    if found is None:
        raise FileNotFoundError(f"no checkpoint in '{folder}'.")
    return found


def train_and_test(
    tools: str | Path,
    config: str | Path,
    folder: str | Path,
    options: Sequence[str] = (),
    seed: int = 0,
    amp: bool = False,
    train: bool = True,
    **kwargs,
) -> dict:
    """Train a config and test its best checkpoint, unless it was done.

    A training that was cut off is resumed. ``folder`` then holds
    ``metrics.json``, the logs and the checkpoints.

    Args:
        tools (str | Path): Folder of train.py and test.py.
        config (str | Path): The config.
        folder (str | Path): Work folder.
        options (Sequence[str]): For ``--cfg-options``: ``a.b=1``.
        seed (int): Defaults to 0.
        amp (bool): Mixed precision. Defaults to False.
        train (bool): False tests the model as it is built. Defaults to True.
        **kwargs: Of :func:`run_tool`: ``processes``, ``env``, ``keep_open``.

    Returns:
        dict: The metrics of the test split.

    Raises:
        ToolError: Training or testing failed.
    """
    tools, folder = Path(tools), Path(folder)
    metrics = folder / 'metrics.json'
    if not metrics.is_file():
        common = ['--cfg-options', *options] if options else []
        common += ['--amp'] if amp else []
        checkpoint: str | Path = 'none'
        if train:
            args = [config, '--work-dir', folder, '--seed', seed, '--resume']
            log = folder / 'train.py.txt'
            run_tool(tools / 'train.py', [*args, *common], log, **kwargs)
            checkpoint = best_checkpoint(folder)
        args = [config, checkpoint, '--work-dir', folder / 'test']
        args += ['--out', metrics]
        log = folder / 'test.py.txt'
        run_tool(tools / 'test.py', [*args, *common], log, **kwargs)
    return json.loads(metrics.read_text())
