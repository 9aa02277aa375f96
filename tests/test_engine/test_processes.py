"""Several processes on a CPU."""

import datetime
from collections.abc import Callable, Iterator

import pytest
import torch
from mmengine.runner import Runner

from lore_mm.engine import ConfigError
from lore_mm.engine.processes import init_gloo

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
