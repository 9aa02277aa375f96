"""Train, and keep what was best on the validation images."""

import argparse
import io
import json
import logging
import uuid
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger, print_log
from mmengine.runner import Runner

from lore_mm.engine.files import (
    CheckpointError,
    replace_when_done,
    safe_load_checkpoint,
)
from lore_mm.engine.launch import apply_train_args
from lore_mm.engine.runner import LORERunner
from lore_mm.engine.tool_process import best_checkpoint

from .config import read_config

# What only a resumed training needs.
_TRAINING_ONLY = ('optimizer', 'param_schedulers', 'message_hub')


class _ConciseRunner(LORERunner):
    """Leaves the config and the lists of hooks to the log file."""

    def build_logger(self, **kwargs) -> MMLogger:
        logger = super().build_logger(**kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_is_progress)
        return logger


def _is_progress(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return '\n' not in text and not text.startswith('Exp name')


class _AfterEpoch(Hook):
    """Call a function after each epoch, once its checkpoint is written."""

    priority = 'LOWEST'

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call

    def after_train_epoch(self, runner: Runner) -> None:
        self.call()


def train(
    config: Path, workers: int | None, after_epoch: Callable[[], None]
) -> None:
    """Train a config, or go on where it stopped.

    Args:
        config (Path): Config of an adaptation.
        workers (int, optional): Processes that load images, in the place of
            those of the config.
        after_epoch (Callable): Called when an epoch is trained and saved.
    """
    cfg = read_config(config, workers)
    # mmengine shares logs and counters between runs of one name.
    cfg.experiment_name = f'{config.parent.name}_{uuid.uuid4().hex[:8]}'
    args = argparse.Namespace(
        config=str(config),
        no_validate=False,
        seed=None,
        amp=False,  # is in the config, as is the choice
        auto_amp=False,
        auto_scale_lr=False,
        resume='auto',
        cfg_options=None,
    )
    cfg.launcher = 'none'
    apply_train_args(cfg, args)
    runner = _ConciseRunner.from_cfg(cfg)
    runner.register_hook(_AfterEpoch(after_epoch))
    runner.train()


def keep_best(work_dir: Path, target: Path) -> int | None:
    """Copy the best checkpoint without the state of the optimizer.

    Returns:
        int | None: Its epoch.

    Raises:
        CheckpointError: The disk is full; what was at ``target`` stays.
    """
    best = best_checkpoint(work_dir)
    content = safe_load_checkpoint(best)
    for key in _TRAINING_ONLY:
        content.pop(key, None)
    # Into memory first: at a full disk torch's own writer raises a
    # RuntimeError that does not tell why.
    file = io.BytesIO()
    torch.save(content, file)
    try:
        with replace_when_done(target) as temp:
            temp.write_bytes(file.getbuffer())
    except OSError as error:
        raise CheckpointError(
            f'cannot save {target} ({error.strerror}); the training is whole '
            f'in {work_dir}: make room and start again, it goes on from there.'
        ) from error
    print_log(f'Kept {best.name} as {target}', logger='current')
    return content.get('meta', {}).get('epoch')


def read_curves(work_dir: Path) -> dict[str, list[tuple[float, float]]]:
    """Loss and validation accuracy over training, in epochs.

    Read from what mmengine's visualizer wrote; a training that was resumed
    has several files, and what came later counts.

    Returns:
        dict: ``'loss'`` and ``'accuracy'``, each a list of (epoch, value).
    """
    loss: dict[int, tuple[float, float]] = {}
    accuracy: dict[int, float] = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text('utf-8').splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # cut off by a kill
                continue
            if 'loss' in row:
                loss[row['step']] = (row['epoch'], row['loss'])
            elif 'accuracy/top1' in row:
                accuracy[row['step']] = row['accuracy/top1']
    return dict(loss=_in_epochs(loss), accuracy=[*sorted(accuracy.items())])


def _in_epochs(
    loss: dict[int, tuple[float, float]],
) -> list[tuple[float, float]]:
    """Steps as fractions of epochs."""
    if not loss:
        return []
    last = max(loss)
    per_epoch = last / loss[last][0]
    return [
        (step / per_epoch, value) for step, (_, value) in sorted(loss.items())
    ]
