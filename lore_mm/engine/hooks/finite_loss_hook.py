"""Stop a run whose loss is no longer a number."""

from pathlib import Path

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lore_mm.engine.bare_model import bare_model
from lore_mm.engine.files import (
    LAST_CHECKPOINT,
    CheckpointError,
    latest_checkpoint,
)
from lore_mm.registry import HOOKS

_WAY_OUT = (
    'Lower the learning rate, clip gradients (optim_wrapper.clip_grad), or '
    'look at the inputs.'
)


class InvalidLossError(RuntimeError):
    """The loss or a trained weight became NaN or infinite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Average the logged losses over processes; stop if one is not finite.

    mmengine logs the losses of the first process alone. Averaged, the log of
    several processes is that of one process with the whole batch, and all
    processes stop together. Weights that a NaN has reached are not saved: a
    gradient may have brought it after the last loss.

    Args:
        interval (int): Iterations between two checks. Each check waits for
            the device. Defaults to 1.
    """

    # Before the hook that hands the losses to the log.
    priority = 'HIGHEST'

    def __init__(self, interval: int = 1) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}.')
        self.interval = interval
        self._note_before: int | None = None

    def before_train(self, runner: Runner) -> None:
        """Look at what another run may have left in the work folder."""
        self._note_before = _note_time(runner)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Average ``outputs`` in place, and check them.

        Raises:
            InvalidLossError: A logged loss is NaN or infinite.
        """
        if not outputs:
            return
        values = torch.stack(
            [torch.as_tensor(v).detach().float() for v in outputs.values()]
        )
        all_reduce(values, op='mean')
        outputs.update(zip(outputs, values, strict=True))
        if not self.every_n_train_iters(runner, self.interval):
            return
        if not values.isfinite().all():
            raise InvalidLossError(self._message(runner, outputs))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the trained weights.

        Raises:
            InvalidLossError: One is NaN or infinite.
        """
        for name, param in bare_model(runner).named_parameters():
            if param.requires_grad and not param.isfinite().all():
                raise InvalidLossError(
                    f'{name} is not finite after epoch {runner.epoch}, '
                    f'iteration {runner.iter}, and was not saved. Last '
                    f'checkpoint before it: {self._last(runner)}. {_WAY_OUT}'
                )

    def _message(self, runner: Runner, outputs: dict) -> str:
        terms = ', '.join(f'{k}={float(v):.4g}' for k, v in outputs.items())
        rates = ', '.join(
            sorted(
                {
                    f'{lr[0]:.3g}'
                    for lr in runner.optim_wrapper.get_lr().values()
                }
            )
        )
        return (
            f'the loss is not finite at epoch {runner.epoch + 1}, iteration '
            f'{runner.iter + 1}: {terms}; learning rate {rates}. Last '
            f'checkpoint before it: {self._last(runner)}. {_WAY_OUT}'
        )

    def _last(self, runner: Runner) -> str:
        """The newest checkpoint that this run wrote whole, or resumed."""
        if _note_time(runner) == self._note_before:
            resumed = runner._resume and runner._load_from
            return str(resumed or 'none')
        try:
            return str(latest_checkpoint(runner.work_dir) or 'none')
        except CheckpointError:  # deleted by hand
            return 'none'


def _note_time(runner: Runner) -> int | None:
    """When the name of the newest checkpoint was written, in ns."""
    note = Path(runner.work_dir, LAST_CHECKPOINT)
    return note.stat().st_mtime_ns if note.is_file() else None
