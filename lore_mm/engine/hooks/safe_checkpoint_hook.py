"""Checkpoints that survive a full disk and a kill."""

import os
from inspect import signature
from logging import LogRecord
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from lore_mm.engine.files import (
    LAST_CHECKPOINT,
    CheckpointError,
    replace_when_done,
    where_it_is_now,
)
from lore_mm.registry import HOOKS


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook`` that deletes only after it has saved.

    mmengine removes the checkpoints that are no longer wanted, the best one
    among them, before it writes the new one: if that fails, nothing is left.
    Here the order is the other way round. Takes the same arguments.

    A run that is resumed first repeats the validation of the epoch it goes on
    from, which the interruption may have cut off, so that the best checkpoint
    is that of an uninterrupted run.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        unknown = set(kwargs) - _ARGUMENTS
        if unknown:  # mmengine would find out at the first checkpoint
            raise TypeError(
                f'{type(self).__name__}.__init__() got an unexpected keyword '
                f'argument {min(unknown)!r}'
            )
        super().__init__(*args, **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Prepare as mmengine does, then validate a resumed epoch."""
        _follow_move(runner)
        runner.logger.addFilter(_is_of_use)
        super().before_train(runner)
        if runner.epoch > 0 and self.by_epoch and _validation_due(runner):
            runner.logger.info(f'Validating the resumed epoch {runner.epoch}.')
            runner.val_loop.run()

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict
    ) -> None:
        """Save, note the newest, then delete what is no longer wanted."""
        outdated = self._note_kept(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            _write_note(Path(runner.work_dir), self.last_ckpt)
            for old in outdated:
                self._remove(self.filename_tmpl.format(old))

    def _note_kept(self, runner: Runner, step: int) -> list[int]:
        """Add ``step`` to the kept checkpoints; return those to delete."""
        if self.max_keep_ckpts <= 0:
            return []
        kept = [old for old in self.keep_ckpt_ids if old != step] + [step]
        outdated = kept[: -self.max_keep_ckpts]
        self.keep_ckpt_ids.clear()
        self.keep_ckpt_ids.extend(kept)  # a deque of max_keep_ckpts
        runner.message_hub.update_info(
            'keep_ckpt_ids', list(self.keep_ckpt_ids)
        )
        return outdated

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save the best checkpoints, then delete those they replace."""
        if not self.save_best:
            return
        self._check_metrics(metrics)
        previous = self._best_paths()
        self._set_best_paths(dict.fromkeys(previous))
        super()._save_best_checkpoint(runner, metrics)
        updated = self._best_paths()
        kept = {key: updated[key] or previous[key] for key in previous}
        self._set_best_paths(kept)
        if is_main_process():
            for path in set(previous.values()) - set(kept.values()) - {None}:
                self._remove(os.path.basename(path))

    def _check_metrics(self, metrics: dict) -> None:
        for key in self.key_indicators:
            if key != 'auto' and key not in metrics:
                raise ValueError(
                    f'save_best must be among the validation metrics '
                    f'{sorted(metrics)}, got {key!r}.'
                )

    def _best_paths(self) -> dict[str, str | None]:
        """Path of the best checkpoint for each metric."""
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best_paths(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths['']
        else:
            self.best_ckpt_path_dict = dict(paths)

    def _remove(self, name: str) -> None:
        """Delete a checkpoint of this run; it may have been moved."""
        path = self.file_backend.join_path(self.out_dir, name)
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)


_ARGUMENTS = set(signature(CheckpointHook).parameters) - {'kwargs'}


def _is_of_use(record: LogRecord) -> bool:
    """Whether a line of the log is none of mmengine's advice to itself."""
    return 'will be deprecated in future' not in record.getMessage()


def _follow_move(runner: Runner) -> None:
    """Find the best checkpoints of a folder that was moved or copied."""
    info = runner.message_hub.runtime_info
    for key in [key for key in info if key.startswith('best_ckpt')]:
        found = where_it_is_now(info[key], runner.work_dir)
        runner.message_hub.update_info(key, str(found))


def _write_note(work_dir: Path, checkpoint: str) -> None:
    """Note the newest checkpoint where ``--resume`` looks for it."""
    note = work_dir / LAST_CHECKPOINT
    try:
        with replace_when_done(note) as temp:
            temp.write_text(checkpoint)
    except OSError as error:
        raise CheckpointError(
            f'cannot write {note} ({error.strerror}); {checkpoint} is whole: '
            f'resume with --resume {checkpoint}.'
        ) from error


def _validation_due(runner: Runner) -> bool:
    """Whether the training loop validates after the epoch just done."""
    loop = runner.train_loop
    if runner.val_loop is None or runner.epoch < loop.val_begin:
        return False
    last = runner.epoch == runner.max_epochs
    return last or runner.epoch % loop.val_interval == 0
