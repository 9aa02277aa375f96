"""tools/analysis/compare_methods.py: methods, recipes and seeds."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / 'tools' / 'analysis' / 'compare_methods.py'
_spec = importlib.util.spec_from_file_location('compare_methods', FILE)
compare_methods = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compare_methods)


@pytest.fixture
def calls(monkeypatch):
    """Tool and options of every call; accuracies depend on the options."""
    made = []

    def call(tool, run, options):
        options = [str(option) for option in options]
        made.append((tool, run, options))
        fast = any('lr=3' in option for option in options)
        if tool == 'test.py':
            score = 50 + run.seed
            out = Path(options[options.index('--out') + 1])
            out.write_text(json.dumps({'accuracy/top1': score}))
            return
        logs = run.folder / '2026' / 'vis_data'
        logs.mkdir(parents=True)
        scores = [60 + run.seed, 80 + run.seed if fast else 70, 10]
        lines = [{'accuracy/top1': score} for score in scores]
        lines.append({'loss': 99.0})
        text = '\n'.join(json.dumps(line) for line in lines)
        (logs / 'scalars.json').write_text(text)
        (run.folder / 'best_accuracy_top1_epoch_2.pth').touch()

    monkeypatch.setattr(compare_methods, 'call', call)
    return made


@pytest.fixture(autouse=True)
def configs(monkeypatch, tmp_path):
    """The folder that tests start in has two configs."""
    monkeypatch.chdir(tmp_path)
    for name in 'ab':
        Path(f'{name}.py').write_text(f'name = {name!r}\n')


def run_main(monkeypatch, *argv):
    monkeypatch.setattr(sys, 'argv', ['compare_methods.py', *argv])
    compare_methods.main()


RECIPES = ['--recipe', 'slow', 'lr=1', '--recipe', 'fast', 'lr=3']


def test_validation_chooses_and_only_the_chosen_is_tested(
    monkeypatch, calls, capsys, tmp_path
):
    run_main(
        monkeypatch,
        *('a=a.py', 'b=b.py', '--work-dir', str(tmp_path), '--amp'),
        *('--seeds', '0', '2', *RECIPES, '--recipe', 'fast@b', 'lr=2'),
        *('--cfg-options', 'draw={seed}'),
    )
    trained = [(r.method, r.recipe, r.seed) for t, r, _ in calls[:8]]
    assert trained == [
        (method, recipe, seed)
        for method in 'ab'
        for recipe in ('slow', 'fast')
        for seed in (0, 2)
    ]
    tested = [(r.method, r.recipe, r.seed) for _, r, _ in calls[8:]]
    # a: 81 against 70; b has 70 twice, and the first of equals is kept.
    assert tested == [
        ('a', 'fast', 0),
        ('a', 'fast', 2),
        ('b', 'slow', 0),
        ('b', 'slow', 2),
    ]
    for tool, run, options in calls:
        assert '--amp' in options
        assert f'draw={run.seed}' in options
        assert ('--seed' in options) == (tool == 'train.py')
    said = capsys.readouterr().out
    assert '| a | slow | 70.00 ± 0.00 |  |' in said
    assert '| a | fast | 81.00 ± 1.41 | yes |' in said
    assert '| a | 2 | 51.00 ± 1.41 |' in said


def test_finished_runs_are_kept(monkeypatch, calls, tmp_path):
    command = ('a=a.py', '--work-dir', str(tmp_path), '--seeds', '1')
    run_main(monkeypatch, *command)
    assert [tool for tool, *_ in calls] == ['train.py', 'test.py']
    run_main(monkeypatch, *command, '--jobs', '2')
    assert len(calls) == 2


def test_other_settings_need_another_folder(monkeypatch, calls, tmp_path):
    config = tmp_path / 'size.py'
    config.write_text("size = int('{{$LORE_IMG_SIZE:224}}')\n")
    command = (f'a={config}', '--work-dir', str(tmp_path), '--seeds', '1')
    run_main(monkeypatch, *command)
    with pytest.raises(SystemExit, match='other settings.*another --work-dir'):
        run_main(monkeypatch, *command, '--cfg-options', 'epochs=99')
    monkeypatch.setenv('LORE_IMG_SIZE', '98')
    with pytest.raises(SystemExit, match='size was 224, is 98'):
        run_main(monkeypatch, *command)
    assert len(calls) == 2


def test_what_the_config_holds_counts_and_not_its_name(
    monkeypatch, calls, tmp_path
) -> None:
    config = tmp_path / 'a.py'
    config.write_text('lr = 1\n')
    command = ('--work-dir', str(tmp_path), '--seeds', '1')
    run_main(monkeypatch, f'a={config}', *command)
    run_main(monkeypatch, f'a={config.rename(tmp_path / "b.py")}', *command)
    assert len(calls) == 2
    config.write_text('lr = 2\n')
    with pytest.raises(SystemExit, match='lr was 1, is 2'):
        run_main(monkeypatch, f'a={config}', *command)
    assert len(calls) == 2


@pytest.mark.parametrize(
    'argv, match',
    [
        (['a.py'], "method must be NAME=CONFIG: 'a.py'"),
        (['a=a.py', '--recipe', 'x@b', 'lr=1'], "no --recipe is for 'a'"),
    ],
)
def test_errors(monkeypatch, calls, tmp_path, argv, match):
    with pytest.raises(SystemExit, match=match):
        run_main(monkeypatch, *argv, '--work-dir', str(tmp_path))
    assert not calls


def test_a_failed_run_names_its_log(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match=r'train.py failed: .*seed0'):
        run_main(monkeypatch, 'a=a.py', '--work-dir', str(tmp_path))


def test_a_missing_config_is_told_before_a_folder_is_made(
    monkeypatch, calls, tmp_path
) -> None:
    with pytest.raises(SystemExit, match=r'error: .*no\.py'):
        run_main(monkeypatch, 'a=no.py', '--work-dir', str(tmp_path / 'w'))
    assert not calls
    assert not (tmp_path / 'w').exists()
