"""Say what is trained, and where it went."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from lore_mm.engine.bare_model import bare_model
from lore_mm.registry import HOOKS
from lore_mm.utils import find_tool


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Numbers of trainable and of all parameters of ``model``."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)


@HOOKS.register_module()
class RunSummaryHook(Hook):
    """Log the share of trained weights first, and the way to test last.

    First: ``trainable 2,345 of 85,801,000 parameters (0.00 %)``. Last: where
    the best checkpoint is, and the command that tests it.
    """

    # After the last checkpoint was saved.
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Log how much of the model is trained."""
        model = bare_model(runner)
        trained, total = count_parameters(model)
        runner.logger.info(
            f'trainable {trained:,} of {total:,} parameters '
            f'({100 * trained / max(total, 1):.2f} %)'
        )

        _check_normalisation(runner, model)

    def after_train(self, runner: Runner) -> None:
        """Log where the checkpoint to test is, and how."""
        info = runner.message_hub.runtime_info
        best, last = info.get('best_ckpt'), info.get('last_ckpt')
        checkpoint = best or last
        if checkpoint is None:
            return
        if best:
            score = info.get('best_score')
            runner.logger.info(f'Best checkpoint ({score:.4f}): {best}')
        runner.logger.info(f'Last checkpoint: {last}')
        config = Path(runner.work_dir, _config_name(runner))
        runner.logger.info(
            f'Test it with: {Path(sys.executable).name} '
            f'{find_tool("test.py")} {config} {checkpoint}'
        )


def _check_normalisation(runner: Runner, model: nn.Module) -> None:
    """Warn where images are not normalised as the Black Box wants them."""
    black_box = getattr(getattr(model, 'backbone', None), 'black_box', None)
    for name in ('mean', 'std'):
        own = getattr(getattr(model, 'data_preprocessor', None), name, None)
        wanted = getattr(black_box, name, None)
        if own is None or wanted is None:
            continue
        own = own.flatten().tolist()
        if not np.allclose(own, wanted, atol=0.01):
            runner.logger.warning(
                f'data_preprocessor.{name} is {_rounded(own)}, the Black Box '
                f'was pre-trained with {_rounded(wanted)}.'
            )


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in values]


def _config_name(runner: Runner) -> str:
    """Name under which the runner wrote its config to the work folder."""
    if runner.cfg.filename is not None:
        return Path(runner.cfg.filename).name
    return f'{runner.timestamp}.py'
