"""tools/analysis/score_davis.py: masks of any program, by the protocol."""

import runpy
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / 'tools' / 'analysis' / 'score_davis.py'
TABLES = ['global_results.csv', 'per-sequence_results.csv']


@pytest.fixture
def score(monkeypatch, capsys):
    """Run the tool; its last lines as figures by name."""

    def run(*argv: object) -> dict[str, float]:
        monkeypatch.setattr(sys, 'argv', ['score_davis.py', *map(str, argv)])
        runpy.run_path(str(FILE), run_name='__main__')
        lines = capsys.readouterr().out.splitlines()
        return {name: float(v) for name, v in map(str.split, lines[-7:])}

    return run


@pytest.mark.parametrize('year,folder', [(2016, '480p_2016'), (2017, '480p')])
def test_truth_scores_one(score, real_data, tmp_path, year, folder):
    root = real_data / 'DAVIS'
    found = score(
        root / 'Annotations' / folder,
        *('--data-root', root, '--year', year, '--ann-dir', folder),
        *('--sequences', 'dog', '--out', tmp_path / 'tables'),
    )
    assert found['J&F-Mean'] == found['J-Mean'] == found['F-Recall'] == 1
    assert found['J-Decay'] == 0
    assert sorted(p.name for p in (tmp_path / 'tables').iterdir()) == TABLES


def test_folder_of_the_configs_is_the_default(
    score, real_data, tmp_path, monkeypatch
):
    monkeypatch.setenv('DAVIS_ROOT', str(real_data / 'DAVIS'))
    found = score(
        real_data / 'DAVIS' / 'Annotations' / '480p',
        *('--sequences', 'dog', '--out', tmp_path / 'tables'),
    )
    assert found['J&F-Mean'] == 1


def test_a_wrong_folder_is_named_and_not_made(score, real_data, tmp_path):
    with pytest.raises(SystemExit, match='there is no folder .*typo'):
        score(tmp_path / 'typo', '--data-root', real_data / 'DAVIS')
    assert not (tmp_path / 'typo').exists()
