"""Run the tools of this package one after the other, each in a process."""

import argparse
import ctypes
import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from .config_keys import ConfigError
from .files import CheckpointError, latest_checkpoint, safe_load_checkpoint
from .launch import add_common_arguments, load_config
from .options import merge_options
from .saved_config import saved_config

_BATCH = 'train_dataloader.batch_size'
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

    Where a run keeps the best of several metrics, the first of ``save_best``
    in its config counts. A folder of ``adapt`` has one checkpoint of its own
    name.

    Raises:
        FileNotFoundError: There is none.
        CheckpointError: There are the best of several metrics, and no telling
            which of them is meant.
    """
    best = sorted(
        Path(folder).glob('best_*.pth'), key=lambda path: path.stat().st_mtime
    )
    if len({_metric(path) for path in best}) > 1:
        best = _of_first_metric(best)
    found = best[-1] if best else latest_checkpoint(folder)
    adapted = Path(folder) / _ADAPTED
    if found is None and adapted.is_file():
        found = adapted
    if found is None:
        raise FileNotFoundError(f"no checkpoint in '{folder}'.")
    return found


def _metric(path: Path) -> str:
    """What a best checkpoint is best in, as its file name writes it."""
    return re.sub(r'_(epoch|iter)_\d+$', '', path.stem)


def _of_first_metric(best: Sequence[Path]) -> list[Path]:
    """Those that are best in what the run's config names first."""
    try:
        cfg = saved_config(safe_load_checkpoint(best[-1]))
        wanted = cfg.default_hooks.checkpoint.save_best
    except (CheckpointError, AttributeError):
        wanted = None  # no config, or one without
    if isinstance(wanted, list | tuple):
        wanted = next(iter(wanted), None)
    name = f'best_{wanted}'.replace('/', '_')
    found = [path for path in best if _metric(path) == name]
    if not found:
        raise CheckpointError(
            f"'{best[-1].parent}' holds the best checkpoints of several "
            f'metrics ({", ".join(sorted(path.name for path in best))}), and '
            f'save_best in their config tells none of them: give the file.'
        )
    return found


def read_config(config: str | Path, options: Sequence[str] = ()) -> Config:
    """What the tools make of a config and ``--cfg-options``.

    Args:
        config (str | Path): Path or name of a config.
        options (Sequence[str]): ``a.b=1``.

    Raises:
        FileNotFoundError: There is no such config.
        ConfigError: An option does not fit the config.
        SystemExit: An option cannot be read.
    """
    parser = argparse.ArgumentParser(usage='%(prog)s CONFIG [options]')
    add_common_arguments(parser)
    given = ['--cfg-options', *options] if options else []
    args = parser.parse_args(given)
    args.config = config
    cfg = load_config(args)
    merge_options(cfg, args.cfg_options or {})
    return cfg


def share_batch(
    config: str | Path, options: Sequence[str], processes: int
) -> list[str]:
    """The option that divides the training batch among processes.

    A config's batch is that of each process: left alone, several would train
    with a larger batch, and another recipe, than one.

    Args:
        config (str | Path): Path or name of a config.
        options (Sequence[str]): ``--cfg-options``, which may set the batch.
        processes (int): That train.

    Returns:
        list[str]: To put after ``options``; empty for one process.

    Raises:
        ValueError: The batch cannot be divided.
    """
    if processes < 1:
        raise ValueError(f'--processes must be at least 1, got {processes}.')
    if processes == 1:
        return []
    loader = read_config(config, options).get('train_dataloader') or {}
    size = loader.get('batch_size')
    if not isinstance(size, int):
        raise ConfigError(
            f'{config}: {_BATCH} must be a number to be divided among '
            f'{processes} processes, got {size!r}; set it, or leave out '
            '--processes.'
        )
    if size % processes:
        raise ConfigError(
            f'{config}: a batch of {size} images cannot be divided among '
            f'{processes} processes; choose --processes that divides it, or '
            f'another {_BATCH}.'
        )
    return [f'{_BATCH}={size // processes}']


def train_and_test(
    tools: str | Path,
    config: str | Path,
    folder: str | Path,
    options: Sequence[str] = (),
    seed: int = 0,
    amp: bool = False,
    train: bool = True,
    processes: int = 1,
    **kwargs,
) -> dict:
    """Train a config and test its best checkpoint, unless it was done.

    A training that was cut off is resumed. ``folder`` then holds
    ``metrics.json``, the logs and the checkpoints. Whether what is there was
    made with these settings is for the caller to see:
    :func:`~lore_mm.engine.run_settings.keep_settings`.

    Several processes divide the training batch among them, so that the recipe
    is that of one.

    Args:
        tools (str | Path): Folder of train.py and test.py.
        config (str | Path): The config.
        folder (str | Path): Work folder.
        options (Sequence[str]): For ``--cfg-options``: ``a.b=1``.
        seed (int): Defaults to 0.
        amp (bool): Mixed precision. Defaults to False.
        train (bool): False tests the model as it is built. Defaults to True.
        processes (int): That train and test. Defaults to 1.
        **kwargs: Of :func:`run_tool`: ``env``, ``keep_open``.

    Returns:
        dict: The metrics of the test split.

    Raises:
        ToolError: Training or testing failed.
        ValueError: The batch cannot be divided, see :func:`share_batch`.
    """
    tools, folder = Path(tools), Path(folder)
    metrics = folder / 'metrics.json'
    if not metrics.is_file():
        kwargs['processes'] = processes
        flags = ['--amp'] if amp else []
        checkpoint: str | Path = 'none'
        if train:
            args = [config, '--work-dir', folder, '--seed', seed, '--resume']
            args += flags
            share = share_batch(config, options, processes)
            args += _cfg_options([*options, *share])
            log = folder / 'train.py.txt'
            run_tool(tools / 'train.py', args, log, **kwargs)
            checkpoint = best_checkpoint(folder)
        args = [config, checkpoint, '--work-dir', folder / 'test']
        args += ['--out', metrics, *flags, *_cfg_options(options)]
        log = folder / 'test.py.txt'
        run_tool(tools / 'test.py', args, log, **kwargs)
    return json.loads(metrics.read_text())


def _cfg_options(options: Sequence[str]) -> list[str]:
    return ['--cfg-options', *options] if options else []
