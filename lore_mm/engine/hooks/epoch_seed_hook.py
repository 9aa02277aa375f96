"""Randomness that a resumed run repeats."""

import random
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lore_mm.registry import HOOKS


def set_seed(*numbers: int) -> None:
    """Seed Python, NumPy and torch from several numbers, well mixed."""
    state = np.random.SeedSequence(numbers).generate_state(1)
    seed = int(state[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def seed_worker(
    worker_id: int, numbers: tuple[int, ...], then: Callable | None = None
) -> None:
    """Seed a loading process: ``worker_init_fn`` of a data loader.

    Args:
        worker_id (int): Number of the loading process.
        numbers (tuple[int, ...]): Seed of the run, epoch and rank.
        then (Callable, optional): The loader's own ``worker_init_fn``, called
            first, so that its seeding does not count. Defaults to None.
    """
    if then is not None:
        then(worker_id)
    # From 1, as trailing zeros do not count: the main process must differ.
    set_seed(*numbers, worker_id + 1)


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed the main and the loading processes at the start of every epoch.

    Every random draw of an epoch (order, augmentation, dropout) then depends
    on the seed of the run, the epoch and the rank alone, so a run that was
    killed and resumed from the end of an epoch repeats what it would have
    drawn. It also makes the epochs differ: mmengine gives the loading
    processes the same seed each time they start.

    Loading processes that would live on and carry their random state over the
    epochs (``persistent_workers``) are started anew for each epoch. Made for
    epoch-based training; an iteration-based loop is one long epoch.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._own_init: Callable | None = None

    def before_train(self, runner: Runner) -> None:
        """Take the sampler's seed from a resumed run."""
        loader = runner.train_dataloader
        self._own_init = loader.worker_init_fn
        per_rank = runner._randomness_cfg.get('diff_rank_seed', False)
        if hasattr(loader.sampler, 'seed') and not per_rank:
            loader.sampler.seed = runner.seed

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process now and the loading processes as they start."""
        numbers = (runner.seed, runner.epoch, get_rank())
        set_seed(*numbers)
        loader = runner.train_dataloader
        loader.worker_init_fn = partial(
            seed_worker, numbers=numbers, then=self._own_init
        )
        # Where torch keeps loading processes that live on; None otherwise.
        loader._iterator = None
