"""Every epoch draws its own numbers, the same after a resume."""

import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook

from lore_mm.engine.hooks.epoch_seed_hook import seed_worker, set_seed
from lore_mm.models import TimmBlackBox


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_set_seed():
    set_seed(0, 1, 2)
    first = draw()
    assert len(set(first)) == 3
    set_seed(0, 1, 2)
    assert draw() == first
    for numbers in [(1, 1, 2), (0, 2, 2), (0, 1, 3), (2, 1, 0), (0, 1)]:
        set_seed(*numbers)
        assert not set(draw()) & set(first)


def test_workers_differ_from_one_another_and_from_their_parent():
    set_seed(0, 1, 2)
    seen = [draw()]
    for worker in range(3):
        seed_worker(worker, (0, 1, 2))
        seen.append(draw())
    assert len(set(seen)) == 4


def test_own_worker_init_is_called_first():
    calls = []

    def own(worker):
        calls.append(worker)
        set_seed(99)

    seed_worker(1, (0, 0, 0), own)
    after = draw()
    seed_worker(1, (0, 0, 0))
    assert calls == [1]
    assert draw() == after


class Record(Hook):
    """Keeps the mean of every batch."""

    def __init__(self):
        self.means = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        images = data_batch['inputs']
        self.means.append([float(i.float().mean()) for i in images])


def means(runner):
    record = Record()
    runner.register_hook(record)
    runner.train()
    # Ends processes that live on: here, not amid those of the next runner.
    runner.train_dataloader._iterator = None
    return record.means


@pytest.mark.parametrize('persistent', [False, True])
def test_resumed_run_sees_the_same_images(tiny_runner, persistent):
    options = dict(
        train_dataloader__num_workers=2,
        train_dataloader__persistent_workers=persistent,
        train_cfg__val_begin=9,
    )
    means(tiny_runner(name='cut', train_cfg__max_epochs=1, **options))
    options.update(train_cfg__max_epochs=2)
    whole = means(tiny_runner(name='whole', **options))
    resumed = means(tiny_runner(name='cut', resume=True, **options))
    assert len(whole) == 2 * len(resumed) == 12
    assert resumed == whole[6:]
    assert sorted(sum(whole[:6], [])) != sorted(sum(whole[6:], []))


def test_resume_without_a_seed_takes_that_of_the_first_run(
    tiny_runner, tmp_path
):
    # Weights of the Black Box that do not hang on the seed.
    weights = TimmBlackBox('test_vit', img_size=64).model.state_dict()
    torch.save(weights, tmp_path / 'vit.pth')
    options = dict(
        randomness__seed=None,
        default_hooks__checkpoint__max_keep_ckpts=-1,
        model__backbone__black_box__checkpoint=str(tmp_path / 'vit.pth'),
    )
    first = tiny_runner(name='first', **options)
    whole = means(first)
    path = f'{first.work_dir}/epoch_1.pth'
    resumed = tiny_runner(
        name='resumed', load_from=path, resume=True, **options
    )
    assert resumed.seed != first.seed
    assert means(resumed) == whole[6:]
    assert resumed.seed == first.seed
