"""What setup.py puts into a wheel, and what it says it needs."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import lore_mm

ROOT = Path(__file__).parents[2]
IGNORED = {'__pycache__'}
IGNORE = shutil.ignore_patterns(*IGNORED)


def _files(folder: Path) -> set[str]:
    return {
        file.relative_to(folder).as_posix()
        for file in folder.rglob('*')
        if file.is_file() and not IGNORED & set(file.parts)
    }


def _build(target: Path) -> None:
    command = [sys.executable, 'setup.py', '-q', 'build_py', '-d', str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope='module')
def built(tmp_path_factory) -> Path:
    """The package as a wheel would hold it; built twice over a stale file."""
    target = tmp_path_factory.mktemp('built')
    stale = target / 'lore_mm' / '.mim' / 'configs' / 'stale.py'
    stale.parent.mkdir(parents=True)
    stale.touch()
    _build(target)
    return target / 'lore_mm'


@pytest.mark.parametrize('folder', ['configs', 'tools'])
def test_configs_and_tools_are_inside(built, folder) -> None:
    files = _files(built / '.mim' / folder)
    assert files == _files(ROOT / folder)
    assert files


def test_every_module_is_inside(built) -> None:
    kinds = ('.py', '.html')
    modules = {f for f in _files(ROOT / 'lore_mm') if f.endswith(kinds)}
    assert 'visualization/report/report.html' in modules
    assert {f for f in _files(built) if not f.startswith('.mim')} == modules


def test_shell_tools_keep_their_mode(built) -> None:
    scripts = list((ROOT / 'tools').glob('*.sh'))
    assert scripts
    for script in scripts:
        copy = built / '.mim' / 'tools' / script.name
        assert copy.stat().st_mode == script.stat().st_mode, script.name


def test_nothing_is_left_in_the_checkout(built) -> None:
    assert built.is_dir()
    assert not (ROOT / 'lore_mm' / '.mim').exists()


def test_wheel_works_without_the_checkout(tmp_path) -> None:
    source, site = tmp_path / 'source', tmp_path / 'site'
    parts = ('lore_mm', 'configs', 'tools', 'requirements')
    for part in parts:
        shutil.copytree(ROOT / part, source / part, ignore=IGNORE)
    for file in ROOT.glob('*.*'):
        if file.is_file():
            shutil.copy(file, source)
    pip = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps']
    options = ['--no-build-isolation', '-w', str(tmp_path), str(source)]
    subprocess.run([*pip, *options], check=True)
    (wheel,) = tmp_path.glob('*.whl')
    zipfile.ZipFile(wheel).extractall(site)

    def run(*command: str) -> str:
        env = dict(os.environ, PYTHONPATH=str(site))
        return subprocess.run(
            [sys.executable, *command],
            env=env,
            cwd=site.parent,  # not a checkout
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    shipped = site / 'lore_mm' / '.mim'
    code = 'from lore_mm.utils import find_config as f; print(f("lore/{}"))'
    found = run('-c', code.format('vit-b_cub'))
    assert found.strip() == str(shipped / 'configs/lore/vit-b_cub.py')
    assert '--auto-scale-lr' in run(str(shipped / 'tools/train.py'), '-h')


def _requirements(kind: str) -> list[Requirement]:
    text = (ROOT / 'requirements' / f'{kind}.txt').read_text()
    lines = [line for line in text.splitlines() if line]
    return [Requirement(li) for li in lines if not li.startswith('#')]


def _tested(python: str) -> dict[str, str]:
    pins = {}
    for pin in _requirements('tested'):
        (only,) = pin.specifier
        assert only.operator == '==', pin
        if pin.marker and not pin.marker.evaluate({'python_version': python}):
            continue
        name = _normal(pin.name)
        assert name not in pins, f'{name} is pinned twice'
        pins[name] = only.version
    return pins


def _normal(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()


@pytest.mark.parametrize('python', ['3.10', '3.11', '3.13'])
@pytest.mark.parametrize(
    'kind', ['runtime', 'tests', 'optional', 'export', 'docs', 'demo']
)
def test_tested_versions_meet_the_floors(kind, python) -> None:
    tested = _tested(python)
    for need in _requirements(kind):
        name = _normal(need.name)
        if name != 'setuptools':  # pip brings its own
            assert tested[name] in need.specifier, need


def test_version_is_told_once() -> None:
    citation = (ROOT / 'CITATION.cff').read_text()
    (cited,) = re.findall(r'^version: (.+)$', citation, re.MULTILINE)
    assert cited == lore_mm.__version__


def test_metadata(monkeypatch) -> None:
    """Comments in the requirement files do not reach the metadata."""
    import setuptools

    said = {}
    monkeypatch.setattr(setuptools, 'setup', said.update)
    spec = spec_from_file_location('lore_mm_setup', ROOT / 'setup.py')
    spec.loader.exec_module(module_from_spec(spec))
    assert said['name'] == 'lore_mm'
    assert said['version'] == lore_mm.__version__
    needs = [*said['install_requires'], *said['extras_require']['quickstart']]
    names = {_normal(Requirement(need).name) for need in needs}
    assert {'onedl-mmengine', 'torch', 'conformal-clip-data'} <= names
    (faiss,) = said['extras_require']['faiss']
    assert Requirement(faiss).name == 'faiss-cpu'
