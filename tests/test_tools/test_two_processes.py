"""Two processes with half the batch each equal one with the whole."""

import json

import pytest
import torch


def read(work):
    """Logged lines of a run, training and validation."""
    (file,) = work.rglob('vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    steps = [line for line in lines if 'loss' in line]
    checks = [line for line in lines if 'accuracy/top1' in line]
    return steps, checks


def test_two_equal_one(start_tool, call_tool, tiny_config, tmp_path):
    options = dict(
        augment=False,
        # Adam would make much of the noise in gradients that are zero.
        optim_wrapper__optimizer=dict(type='SGD', lr=0.01, momentum=0.9),
        log_processor=dict(window_size=1),
    )
    one, two = tmp_path / 'work' / 'one', tmp_path / 'work' / 'two'
    call_tool('train.py', tiny_config(name='one', **options))
    config = tiny_config(name='two', train_dataloader__batch_size=4, **options)
    result = start_tool('dist_train.sh', config, 2)
    assert result.returncode == 0, result.stderr

    (steps, checks), (half_steps, half_checks) = read(one), read(two)
    assert len(steps) == len(half_steps) == 12
    for step, half in zip(steps, half_steps, strict=True):
        for term in ('loss', 'loss_cls', 'loss_kp'):
            assert half[term] == pytest.approx(step[term], abs=1e-4)
    assert [c['accuracy/top1'] for c in checks] == [
        c['accuracy/top1'] for c in half_checks
    ]
    ends = [
        torch.load(work / 'epoch_2.pth', weights_only=True)['state_dict']
        for work in (one, two)
    ]
    for key, value in ends[0].items():
        torch.testing.assert_close(ends[1][key], value, rtol=0, atol=1e-4)

    outs = [tmp_path / 'one.json', tmp_path / 'two.json']
    call_tool('test.py', config, one / 'epoch_2.pth', '--out', outs[0])
    result = start_tool(
        'dist_test.sh', config, one / 'epoch_2.pth', 2, '--out', outs[1]
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(outs[0].read_text()) == json.loads(outs[1].read_text())


@pytest.mark.parametrize(
    'script,args',
    [
        ('dist_train.sh', ['a.py']),
        ('dist_test.sh', ['a.py', 'a.pth']),
        ('slurm_train.sh', ['part', 'job']),
        ('slurm_test.sh', ['part', 'job', 'a.py']),
    ],
)
def test_too_few_arguments(start_tool, script, args):
    result = start_tool(script, *args)
    assert result.returncode == 2
    assert result.stderr.startswith('usage: ')
