"""Several processes on a CPU, and batch norms that they share."""

import datetime
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from lore_mm.engine import ConfigError
from lore_mm.engine.hooks import NormStatisticsHook
from lore_mm.engine.processes import init_gloo, synchronise_batch_norms
from lore_mm.models.white_box.norm import TokenBatchNorm

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='needs a CPU machine'
)


@pytest.fixture
def alone(
    tmp_path, tiny_runner, monkeypatch
) -> Iterator[Callable[..., Runner]]:
    """Factory of a distributed runner with one process."""
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        monkeypatch.setenv(name, '1')  # or mmengine does, for good
    monkeypatch.setenv('LOCAL_RANK', '0')

    def make(timeout: object = 77, **options) -> Runner:
        return tiny_runner(
            launcher='pytorch',
            env_cfg__dist_cfg=dict(
                backend='nccl',
                init_backend='torch',
                init_method=f'file://{tmp_path}/store',
                rank=0,
                world_size=1,
                timeout=timeout,
            ),
            **options,
        )

    yield make
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


# -- gloo ----------------------------------------------------------------
@pytest.fixture
def given(monkeypatch) -> list[dict]:
    """Keyword arguments of each process group made in the test."""
    calls = []
    make = torch.distributed.init_process_group

    def spy(backend: str, **options) -> None:
        assert backend == 'gloo'
        calls.append(options)
        make(backend, **options)

    monkeypatch.setattr(torch.distributed, 'init_process_group', spy)
    return calls


@pytest.mark.parametrize(
    'timeout,expected', [(77, datetime.timedelta(seconds=77)), (None, None)]
)
def test_gloo_takes_the_options_of_dist_cfg(alone, given, timeout, expected):
    assert alone(timeout=timeout).distributed
    (options,) = given
    assert options['timeout'] == expected
    assert (options['rank'], options['world_size']) == (0, 1)
    assert not {'backend', 'init_backend'} & set(options)


def test_timeout_that_is_no_number():
    with pytest.raises(ConfigError, match=r"timeout is '2h'; .* seconds"):
        init_gloo(dict(backend='nccl', timeout='2h'))


# -- sync_bn -------------------------------------------------------------
@pytest.mark.parametrize('kind', ['torch', 'mmcv'])
def test_norms_of_the_white_box_train_with_sync_bn(alone, kind):
    runner = alone(sync_bn=kind, train_cfg__max_epochs=1)
    assert len(NormStatisticsHook._norms(runner)) > 0
    runner.train()
    written = Config.fromfile(f'{runner.work_dir}/tiny.py')
    assert written.sync_bn == kind


def test_stock_norms_become_synchronised_ones():
    model = nn.Sequential(
        nn.Sequential(TokenBatchNorm(4), nn.BatchNorm2d(4)), nn.BatchNorm1d(4)
    )
    weights = [id(weight) for weight in model.parameters()]
    synchronise_batch_norms(model, 'torch')
    assert type(model[0][0]) is TokenBatchNorm
    assert type(model[0][1]) is type(model[1]) is nn.SyncBatchNorm
    assert [id(weight) for weight in model.parameters()] == weights


def test_sync_bn_of_no_known_kind():
    with pytest.raises(ConfigError, match=r"sync_bn must be .*got 'Torch'"):
        synchronise_batch_norms(nn.Sequential(TokenBatchNorm(4)), 'Torch')


def test_sync_bn_of_an_mmcv_without_operators(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv.ops', None)
    with pytest.raises(ConfigError, match='needs mmcv with compiled'):
        synchronise_batch_norms(nn.Sequential(nn.BatchNorm2d(4)), 'mmcv')
