"""tools/analysis/compare_runs.py: metrics of runs side by side."""

import importlib.util
import json
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / 'tools' / 'analysis' / 'compare_runs.py'
_spec = importlib.util.spec_from_file_location('compare_runs', FILE)
compare_runs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compare_runs)


def _write(folder: Path, name: str, content: object) -> Path:
    file = folder / name
    file.write_text(json.dumps(content))
    return file


def test_two_runs_with_recall_per_class(tmp_path, capsys) -> None:
    recall = 'single-label/recall_classwise'
    a = _write(tmp_path, 'a.json', {'accuracy/top1': 81.25, recall: [90, 70]})
    b = _write(tmp_path, 'b.json', {'accuracy/top1': 80.0, recall: [85, 75.5]})
    compare_runs.main(
        [f'linear probe={a}', f'LORE={b}', '--classes', 'good', 'torn']
    )
    assert capsys.readouterr().out.splitlines() == [
        '|  | linear probe | LORE | difference |',
        '| --- | ---: | ---: | ---: |',
        '| accuracy/top1 | 81.25 | 80.00 | -1.25 |',
        f'| {recall}: good | 90.00 | 85.00 | -5.00 |',
        f'| {recall}: torn | 70.00 | 75.50 | +5.50 |',
    ]


def test_named_classes_and_missing_metrics(tmp_path) -> None:
    a = _write(tmp_path, 'a.json', {'recall': {'x': 1, 'y': 2}, 'note': 'n'})
    rows = compare_runs.read_rows(a)
    assert rows == {'recall: x': 1.0, 'recall: y': 2.0}
    lines = compare_runs.table({'A': rows, 'B': {'top1': 3.0}}).splitlines()
    assert lines[2:] == [
        '| recall: x | 1.00 |  |  |',
        '| recall: y | 2.00 |  |  |',
        '| top1 |  | 3.00 |  |',
    ]


def test_three_runs_have_no_difference() -> None:
    text = compare_runs.table({name: {'m': 1.0} for name in 'abc'})
    assert text.splitlines()[-1] == '| m | 1.00 | 1.00 | 1.00 |'


@pytest.mark.parametrize('text', ['a.json', '=a.json', 'A='])
def test_run_needs_title_and_file(text) -> None:
    with pytest.raises(ValueError, match='must be given as TITLE=FILE, got'):
        compare_runs.split_run(text)


def test_bad_files(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match='write it with tools/test.py'):
        compare_runs.read_rows(tmp_path / 'none.json')
    broken = tmp_path / 'broken.json'
    broken.write_text('{"a": 1')
    with pytest.raises(ValueError, match='is not JSON'):
        compare_runs.read_rows(broken)
    with pytest.raises(ValueError, match='must hold a mapping'):
        compare_runs.read_rows(_write(tmp_path, 'list.json', [1]))
    with pytest.raises(ValueError, match='no metrics that are numbers'):
        compare_runs.read_rows(_write(tmp_path, 'no.json', {'a': True}))
    with pytest.raises(ValueError, match='recall has 2 classes, got 3 names'):
        compare_runs.flatten('recall', [1, 2], ['a', 'b', 'c'])
