"""tools/analysis/make_tables.py: files and plots of a benchmark."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from PIL import Image

FILE = Path(__file__).parents[2] / 'tools' / 'analysis' / 'make_tables.py'


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location('make_tables', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def file(tmp_path) -> Path:
    spec = dict(
        black_box='clip-b16',
        work_dir=str(tmp_path / 'work'),
        shots=[4, 16],
        data_sets=dict(dtd=None),
        methods=dict(
            lore=dict(config='lore/vit-s_cub', title='LORE'),
            coop=dict(config='baselines/coop_clip-b16_cub'),
        ),
    )
    path = tmp_path / 'bench.yaml'
    path.write_text(yaml.safe_dump(spec))
    return path


def results(folder: Path) -> None:
    rows = [
        dict(
            method=method,
            data_set='dtd',
            shots=shots,
            seed=seed,
            metrics={'accuracy/top1': 50.0 + shots + seed},
            trained_weights=weights,
        )
        for method, weights in (('lore', 2e6), ('coop', 8e3))
        for shots in (4, 16)
        for seed in (0, 1)
    ]
    folder.mkdir()
    (folder / 'results.json').write_text(json.dumps(dict(rows=rows)))


def test_files(tool, file, tmp_path, capsys) -> None:
    results(tmp_path / 'work')
    tool.main([str(file), '--out', str(tmp_path / 'out')])
    out = capsys.readouterr().out
    assert '| 16 | LORE | 2 M | 66.50 ± 0.71 | 66.50 ± 0.71 |' in out
    assert '| 16 | coop, published [2] |  | 68.09 | 68.09 |' in out.replace(
        'published [1]', 'published [2]'
    )
    texts = {
        name: (tmp_path / 'out' / f'table.{name}') for name in ('md', 'csv')
    }
    assert texts['md'].read_text() == out
    assert len(texts['csv'].read_text().splitlines()) == 1 + 4 + 2
    assert (tmp_path / 'out/table.tex').read_text().count(r'\\') == 7
    for name in ('shots', 'weights'):
        pixels = np.asarray(Image.open(tmp_path / f'out/{name}.png'))
        assert pixels.std() > 5
    tool.main([str(file), '--results', str(tmp_path / 'work')])
    assert capsys.readouterr().out == out


def test_nothing_to_read(tool, file) -> None:
    with pytest.raises(SystemExit, match='does not exist; tools/benchmark'):
        tool.main([str(file)])
