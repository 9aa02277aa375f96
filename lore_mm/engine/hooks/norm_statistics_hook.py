"""Make training and test use the same batch-norm statistics."""

from typing import Any

import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.dist import get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from lore_mm.engine.bare_model import bare_model
from lore_mm.engine.feature_extraction import (
    eval_mode,
    val_pipeline,
    with_pipeline,
)
from lore_mm.models.white_box.norm import TokenBatchNorm
from lore_mm.registry import HOOKS

MODES = ('freeze', 'recompute')


@HOOKS.register_module()
class NormStatisticsHook(Hook):
    """Freeze or recompute the statistics of the White Box's batch norms.

    LORE trains few weights on few images for few steps, so running averages
    lag behind the weights, and a model that trains well on batch statistics
    fails on running ones. With

    - ``freeze`` the statistics are measured over the training set before
      training and again after each of the first ``epochs`` epochs, and used
      in training and test alike from then on. The released code froze those
      of epoch one, by never leaving eval mode after it;
    - ``recompute`` training uses batch statistics, and the statistics of the
      training set are measured before training and anew after every epoch,
      before validation and saving.

    In a loop by iterations a pass of the images is an epoch, and what is not
    frozen yet is measured at each validation and at the end too.

    Measured without gradients on unaugmented images in one fixed shuffled
    order, by every process alike, so that all agree.

    Args:
        mode (str): ``freeze`` or ``recompute``. Defaults to ``freeze``.
        epochs (int): Epochs before the statistics are frozen, for
            ``freeze``. 0 freezes those of the initial weights. Defaults to 1.
        num_samples (int): Images measured at most. Defaults to 2048.

    Raises:
        ValueError: ``mode`` unknown, ``epochs`` negative or ``num_samples``
            below 2; or, before training, ``recompute`` beside mmengine's
            ``EMAHook``, which validates other weights than are measured.
    """

    # Before validation and checkpoints, which see the new statistics.
    priority = 'HIGH'

    def __init__(
        self, mode: str = 'freeze', epochs: int = 1, num_samples: int = 2048
    ) -> None:
        if mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got {mode!r}.')
        if epochs < 0:
            raise ValueError(f'epochs must be 0 or more, got {epochs}.')
        if num_samples < 2:
            raise ValueError(
                f'num_samples must be at least 2, got {num_samples}.'
            )
        self.mode = mode
        self.epochs = epochs
        self.num_samples = num_samples

    def before_train(self, runner: Runner) -> None:
        """Measure the initial statistics, unless the run is resumed."""
        self._check_average(runner)
        passes = runner.epoch
        if not _by_epoch(runner):
            passes = runner.iter // len(runner.train_dataloader)
        self._set_frozen(runner, passes)
        if runner.iter == 0:
            self.measure(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Measure anew where the mode asks for it."""
        if _by_epoch(runner):
            self._end_epoch(runner, runner.epoch + 1)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, **kwargs: Any
    ) -> None:
        """The same in a loop by iterations, after each pass of the images."""
        if _by_epoch(runner):
            return
        done = runner.iter + 1
        passes, rest = divmod(done, len(runner.train_dataloader))
        seen = done == runner.max_iters or (
            done % runner.train_loop.val_interval == 0
        )
        if rest == 0:
            self._end_epoch(runner, passes)
        elif seen and (self.mode == 'recompute' or passes < self.epochs):
            self.measure(runner)

    def _end_epoch(self, runner: Runner, done: int) -> None:
        if self.mode == 'recompute' or done <= self.epochs:
            self.measure(runner)
        self._set_frozen(runner, done)

    def _set_frozen(self, runner: Runner, epochs_done: int) -> None:
        frozen = self.mode == 'freeze' and epochs_done >= self.epochs
        for norm in self._norms(runner):
            norm.frozen_statistics = frozen

    def _check_average(self, runner: Runner) -> None:
        if self.mode != 'recompute' or not self._norms(runner):
            return
        if _averages(runner):
            raise ValueError(
                "mode='recompute' measures the statistics of the weights in "
                'training, but EMAHook validates and saves their average; '
                "set mode='freeze' or norm='layer' in the White Box."
            )

    @staticmethod
    def _norms(runner: Runner) -> list[TokenBatchNorm]:
        backbone = bare_model(runner).backbone
        return [m for m in backbone.modules() if isinstance(m, TokenBatchNorm)]

    @torch.no_grad()
    def measure(self, runner: Runner) -> None:
        """Average batch statistics over one pass of the training set.

        Layer by layer in depth, all in one pass: a norm sees inputs that the
        norms before it have normalised by their batch, as in training.
        """
        norms = self._norms(runner)
        if not norms:
            return
        model = bare_model(runner)
        with eval_mode(model):  # no dropout
            for norm in norms:
                norm.start_measuring()
            for data in self._loader(runner):
                data = model.data_preprocessor(data, False)
                model.backbone(data['inputs'])
            for norm in norms:
                norm.stop_measuring()
        _follow_statistics(runner)

    def _loader(self, runner: Runner) -> DataLoader:
        """Whole batches of the training set, as large as a training step."""
        source = runner.train_dataloader
        pipeline = val_pipeline(runner)
        dataset = with_pipeline(source.dataset, Compose([pipeline]))
        order = torch.randperm(
            len(dataset), generator=torch.Generator().manual_seed(0)
        )[: self.num_samples].tolist()
        # None with a batch sampler. Two at least, for a variance.
        size = max(2, (source.batch_size or 1) * get_world_size())
        size = min(size, len(order))
        return DataLoader(
            dataset,
            batch_size=size,
            sampler=order,
            drop_last=True,
            num_workers=source.num_workers,
            collate_fn=pseudo_collate,
            generator=torch.Generator(),
        )


def _averages(runner: Runner) -> list[EMAHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EMAHook)]


def _follow_statistics(runner: Runner) -> None:
    """Give what was measured to the average that a checkpoint is made of.

    ``EMAHook`` itself would copy it with the next iteration only.
    """
    for hook in _averages(runner):
        if hook.ema_model.update_buffers:
            continue  # averaged as well
        pairs = zip(
            hook.ema_model.module.buffers(),
            bare_model(runner).buffers(),
            strict=True,
        )
        for average, measured in pairs:
            average.copy_(measured)


def _by_epoch(runner: Runner) -> bool:
    return isinstance(runner.train_loop, EpochBasedTrainLoop)
