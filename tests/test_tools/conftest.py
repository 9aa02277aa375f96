"""Run the tools as a user does."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

CHECKOUT = Path(__file__).resolve().parents[2]


def _visualizers():
    return [Visualizer, *Visualizer.__subclasses__()]


@pytest.fixture
def call_tool(monkeypatch):
    """Run ``tools/<name>`` in this process; a failure raises SystemExit."""

    def call(name, *args):
        argv = [name, *map(str, args)]
        monkeypatch.setattr(sys, 'argv', argv)
        monkeypatch.setenv('LOCAL_RANK', '0')
        # mmengine shares these between runs that start in the same second.
        for kind in (MMLogger, MessageHub, DefaultScope, *_visualizers()):
            kind._instance_dict.clear()
        runpy.run_path(str(CHECKOUT / 'tools' / name), run_name='__main__')

    yield call
    DefaultScope._instance_dict.clear()


@pytest.fixture
def fails(call_tool):
    """Run a tool that must fail; the one line that it ends with."""

    def run(*args):
        with pytest.raises(SystemExit) as failure:
            call_tool(*args)
        message = failure.value.code
        assert message.startswith('error: ')
        assert '\n' not in message
        return message

    return run


@pytest.fixture
def start_tool(tmp_path):
    """Run ``tools/<name>`` in a process of its own; returns its result."""

    def start(name, *args):
        shell = [sys.executable] if name.endswith('.py') else ['bash']
        paths = [str(CHECKOUT), str(tmp_path), os.environ.get('PYTHONPATH')]
        env = dict(
            os.environ,
            PYTHON=sys.executable,
            PYTHONPATH=os.pathsep.join(filter(None, paths)),
            # Sums depend on the number of threads.
            OMP_NUM_THREADS=str(torch.get_num_threads()),
        )
        return subprocess.run(
            [*shell, str(CHECKOUT / 'tools' / name), *map(str, args)],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return start
