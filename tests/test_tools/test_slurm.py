"""The commands that the Slurm scripts give to srun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def submit(tmp_path):
    """Run a script with an ``srun`` that prints each argument on a line."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)

    def run(script: str, *args: str, **settings: str):
        path = f'{tmp_path}:{os.environ["PATH"]}'
        return subprocess.run(
            ['bash', TOOLS / script, *args],
            env=dict(os.environ, PATH=path, PYTHON=sys.executable, **settings),
            capture_output=True,
            text=True,
        )

    return run


CASES = [
    ('slurm_train.sh', 'train.py', []),
    ('slurm_test.sh', 'test.py', ['c.pth']),
]


@pytest.mark.parametrize('script,tool,checkpoint', CASES)
def test_command(submit, script, tool, checkpoint):
    done = submit(
        script,
        *['gpu', 'a job', 'x.py', *checkpoint, '--amp'],
        GPUS='4',
        CPUS_PER_TASK='3',
        SRUN_ARGS='--time=1 --exclusive',
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *['-p', 'gpu', '--job-name=a job', '--gres=gpu:4', '--ntasks=4'],
        *['--ntasks-per-node=4', '--cpus-per-task=3', '--kill-on-bad-exit=1'],
        *['--time=1', '--exclusive', sys.executable, '-u', str(TOOLS / tool)],
        *['x.py', *checkpoint, '--launcher', 'slurm', '--amp'],
    ]


@pytest.mark.parametrize('script,tool,checkpoint', CASES)
def test_several_nodes_are_filled(submit, script, tool, checkpoint):
    done = submit(script, 'gpu', 'job', 'x.py', *checkpoint, GPUS='16')
    assert {'--ntasks=16', '--ntasks-per-node=8'} <= set(done.stdout.split())


@pytest.mark.parametrize('script,tool,checkpoint', CASES)
def test_too_few_arguments(submit, script, tool, checkpoint):
    done = submit(script, 'gpu')
    assert done.returncode == 2
    assert 'usage: ' in done.stderr
