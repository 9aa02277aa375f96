"""Batch norm over two gloo processes against one process."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

# By its file: two processes that import the whole package take ten seconds.
NORM = Path(__file__).parents[3] / 'lore_mm/models/white_box/norm.py'
TokenBatchNorm = runpy.run_path(str(NORM))['TokenBatchNorm']

DIMS = 3
# Means far above the deviation: a difference of squares would be lost.
OFFSET = torch.tensor([0.0, 30.0, -100.0])


def batch(dtype=torch.float32):
    """Five rows of two tokens: the processes get different shares."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 2, DIMS, generator=generator) * 0.1 + OFFSET
    target = torch.randn(5, 2, DIMS, generator=generator)
    return x.to(dtype), target.to(dtype)


def train(norm, x, target):
    """Two steps; outputs, gradient of the input, the state."""
    outs, grads = [], []
    for _ in range(2):
        x = x.detach().requires_grad_()
        out = norm(x)
        (out * target).sum().backward()
        outs.append(out.detach())
        grads.append(x.grad)
    weights = torch.stack([norm.weight.grad, norm.bias.grad])
    return dict(
        out=torch.stack(outs),
        grad=torch.stack(grads),
        weights=weights,
        state=norm.state_dict(),
    )


def new_norm(momentum=0.1):
    norm = TokenBatchNorm(DIMS, momentum=momentum)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.5, 0.5, -2.0]))
    return norm


def work(rank, folder):
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    x, target = batch()
    share = slice(0, 2) if rank == 0 else slice(2, 5)
    results = {
        str(momentum): train(new_norm(momentum), x[share], target[share])
        for momentum in (0.1, None)
    }
    torch.save(results, f'{folder}/{rank}.pt')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks')
    running = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in running:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return [
        torch.load(folder / f'{rank}.pt', weights_only=True)
        for rank in range(2)
    ]


@pytest.mark.parametrize('momentum', [0.1, None])
def test_two_processes_equal_one(ranks, momentum):
    ranks = [rank[str(momentum)] for rank in ranks]
    x, target = batch(torch.float64)
    one = train(new_norm(momentum).double(), x, target)
    close = dict(rtol=1e-3, atol=1e-3, check_dtype=False)  # float32 of 100
    for key in ('out', 'grad'):
        whole = torch.cat([rank[key] for rank in ranks], dim=1)
        torch.testing.assert_close(whole, one[key], **close)
    weights = ranks[0]['weights'] + ranks[1]['weights']
    torch.testing.assert_close(weights, one['weights'], **close)
    for rank in ranks:
        for name, value in one['state'].items():
            torch.testing.assert_close(rank['state'][name], value, **close)


if __name__ == '__main__':  # one of the two processes
    work(int(sys.argv[1]), sys.argv[2])
