"""Benchmark files: what they may hold, and the runs that they mean."""

import json
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from lore_mm.engine import check_config_keys
from lore_mm.engine.benchmark import (
    load_benchmark,
    plan,
    read_result,
    write_config,
)

FILES = sorted(
    file
    for file in Path(__file__)
    .resolve()
    .parents[2]
    .glob('configs/benchmark/*.yaml')
    if file.stem != 'published'
)
SPEC = dict(
    black_box='vit-s14',
    shots=[4, None],
    seeds=[0, 1],
    options={'a.b': 1},
    methods=dict(
        lore=dict(config='lore/vit-s_cub', options={'x': 2}),
        probe=dict(config='baselines/linear_vit-s_cub', shots=[4]),
    ),
    data_sets=dict(
        dtd=None,
        grocery=dict(
            shots_seed='train_dataloader.dataset.seed',
            methods=dict(lore={'a.b': 9}),
        ),
    ),
)


@pytest.fixture
def write(tmp_path):
    def make(**changes) -> Path:
        file = tmp_path / 'bench.yaml'
        file.write_text(yaml.safe_dump({**SPEC, **changes}))
        return file

    return make


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_shipped_files(file, tmp_path) -> None:
    spec = load_benchmark(file)
    assert spec['title']
    runs = plan(spec, tmp_path)
    first = runs[0]
    wanted = (first.data_set, first.shots, 0)
    for run in runs:  # each method once
        if (run.data_set, run.shots, run.seed) != wanted:
            continue
        cfg = Config.fromfile(write_config(run))
        check_config_keys(cfg)
        for option in run.options:
            key = option.partition('=')[0].split('.')[0]
            assert key in cfg


def test_options_of_a_number_of_shots(write, tmp_path) -> None:
    file = write(shots_options={4: {'a.b': 3, 'x': 3}})
    found = {
        run.shots: run.options
        for run in plan(load_benchmark(file), tmp_path)
        if run.method == 'lore' and run.data_set == 'dtd'
    }
    assert {'a.b=3', 'x=2'} <= set(found[4])  # the method's own come last
    assert {'a.b=1', 'x=2'} <= set(found[None])


def test_grid(write, tmp_path) -> None:
    runs = plan(load_benchmark(write()), tmp_path)
    assert len(runs) == 2 * 2 * 3
    assert len({run.folder for run in runs}) == len(runs)
    assert [run.seed for run in runs] == [0] * 6 + [1] * 6
    by_name = {str(run): run for run in runs}
    run = by_name['lore, grocery, 4 shots, 1']
    assert run.folder == tmp_path / 'lore/grocery/4shot/seed1'
    assert set(run.options) == {
        'train_dataloader.dataset.shots=4',
        'train_dataloader.dataset.seed=1',
        'a.b=9',
        'x=2',
    }
    run = by_name['lore, dtd, all shots, 0']
    assert set(run.options) == {'a.b=1', 'x=2'}
    assert run.swaps['datasets'].name == 'dtd.py'
    assert 'probe, dtd, all shots, 0' not in by_name


def test_methods_that_only_test(write, tmp_path) -> None:
    zero = dict(
        config='baselines/zero-shot_clip-b16_cub',
        kind='test',
        options={'test_dataloader.num_workers': 0, 'train_cfg.x': 1},
    )
    spec = load_benchmark(
        write(methods=dict(zero=zero), data_sets=dict(dtd={}))
    )
    (run,) = plan(spec, tmp_path)
    assert (run.shots, run.seed) == (0, 0)
    assert 'train_cfg.x=1' not in run.options
    assert 'test_dataloader.num_workers=0' in run.options


def test_folder_of_other_settings_is_refused(write, tmp_path) -> None:
    (run, *_) = plan(load_benchmark(write()), tmp_path)
    path = write_config(run)
    assert write_config(run) == path
    before = {file: file.read_text() for file in run.folder.iterdir()}
    # Another data set in the same place: all of config.py would change.
    other = dict(config='_base_/datasets/cub', options={'a.b': 3})
    file = write(black_box='vit-b16_augreg', data_sets=dict(dtd=other))
    (run, *_) = plan(load_benchmark(file), tmp_path)
    with pytest.raises(ValueError, match=r'other settings \(\S+ was .*, is '):
        write_config(run)
    assert before == {f: f.read_text() for f in run.folder.iterdir()}


def test_config_is_whole_where_a_leaf_stands_on_another(
    write, tmp_path
) -> None:
    method = dict(config='ablation/vit-s_cub_k4')
    (run, *_) = plan(
        load_benchmark(write(methods=dict(a=method), data_sets=dict(dtd={}))),
        tmp_path,
    )
    path = write_config(run)
    assert path == run.folder / 'config.py'
    cfg = Config.fromfile(path)
    assert cfg.model.backbone.white_box.k == 4
    noted = json.loads((run.folder / 'settings.json').read_text())
    assert noted['model.backbone.white_box.k'] == 4


def test_moved_data_is_the_same_run(write, tmp_path, monkeypatch) -> None:
    (run, *_) = plan(load_benchmark(write()), tmp_path)
    write_config(run)
    monkeypatch.setenv('DTD_ROOT', '/elsewhere')
    write_config(run)


def test_result(write, tmp_path) -> None:
    (run, *_) = plan(load_benchmark(write()), tmp_path)
    assert read_result(run) is None
    run.folder.mkdir(parents=True)
    (run.folder / 'metrics.json').write_text('{"accuracy/top1": 50}')
    (run.folder / 'facts.json').write_text(json.dumps({'trained_weights': 7}))
    row = read_result(run)
    assert row['metrics'] == {'accuracy/top1': 50}
    assert row['trained_weights'] == 7
    assert (row['method'], row['seed'], row['shots']) == ('lore', 0, 4)


@pytest.mark.parametrize(
    'changes,said',
    [
        (dict(shots_options={2: {}}), 'shots_options names 2, which is not'),
        (dict(shot=[4]), "unknown key 'shot'; known: amp"),
        (dict(methods=dict(a={})), r'methods\.a: config is missing'),
        (dict(methods=dict(a=3)), r'methods\.a must be a mapping'),
        (
            dict(methods=dict(a=dict(config='x', kind='tset'))),
            r"methods\.a\.kind must be one of .*got 'tset'",
        ),
        (
            dict(data_sets=dict(dtd=dict(methods=dict(lora={})))),
            "names 'lora', which is no method",
        ),
    ],
)
def test_wrong_files(write, changes, said) -> None:
    with pytest.raises(ValueError, match=said):
        load_benchmark(write(**changes))


def test_files_that_are_none(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match='does not exist'):
        load_benchmark(tmp_path / 'none.yaml')
    (tmp_path / 'a.yaml').write_text('{')
    with pytest.raises(ValueError, match='is not YAML'):
        load_benchmark(tmp_path / 'a.yaml')
    (tmp_path / 'a.yaml').write_text('- 1')
    with pytest.raises(ValueError, match='must hold a mapping'):
        load_benchmark(tmp_path / 'a.yaml')
