"""Every shipped config builds; each kind trains and tests."""

import math
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, RUNNERS, DefaultScope

from lore_mm.engine import ConfigError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# The other tasks have tests of their own.
CLASSIFIERS = ('lore', 'baselines', 'ablation')
LEAVES = [
    path.relative_to(CONFIGS).with_suffix('').as_posix()
    for path in sorted(CONFIGS.rglob('*.py'))
    if path.parent.name in CLASSIFIERS
]
CLASSES = dict(cub=3, textile=3, folder=2)
# One of each model and schedule, data set and kind of Black Box.
TRAINED = [
    'lore/clip-b32_cub',
    'lore/vit-s_textile',
    'lore/vit-b_folder',
    'lore/vit-s_cub_published',
    'baselines/linear_vit-s_textile',
    'baselines/full_clip-b16_cub',
    'baselines/vpt-shallow_vit-b_folder',
    'baselines/vpt-deep_clip-b16_cub',
    'ablation/vit-s_cub_paper',
    'ablation/vit-s_textile_released',
    'ablation/vit-s_cub_no-kp',
    'ablation/vit-s_cub_no-kla',
    'ablation/vit-s_cub_no-lin',
    'baselines/lora_clip-b16_cub',
    'baselines/clip-adapter_clip-b16_cub',
]
# Nothing is trained.
TESTED = [
    'baselines/zero-shot_clip-b16_cub',
    'baselines/zero-shot_clip-b32_cub',
]


def test_all_kinds_are_here():
    assert len(LEAVES) == 65
    assert set(TRAINED) <= set(LEAVES)


@pytest.mark.parametrize('name', sorted({*LEAVES} - {*TRAINED, *TESTED}))
def test_leaf_builds(leaf_runner, name):
    runner = leaf_runner(name)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    *_, schedule = runner.build_param_scheduler(runner.param_schedulers)
    steps = len(runner.train_dataloader)
    assert schedule.end == runner.max_epochs * steps
    (number,) = [n for data, n in CLASSES.items() if data in name]
    for loop in (runner.train_loop, runner.val_loop, runner.test_loop):
        dataset = loop.dataloader.dataset
        assert len(dataset) > 0
        assert len(dataset.metainfo['classes']) == number
    assert runner.model.head.num_classes == number
    assert runner.model.data_preprocessor.num_classes == number


@pytest.mark.parametrize('name', TRAINED)
def test_leaf_trains_and_tests(leaf_runner, name):
    runner = leaf_runner(name, **{'train_cfg.max_epochs': 1})
    before = {k: v.clone() for k, v in runner.model.named_parameters()}
    runner.train()
    trained = {
        key
        for key, value in runner.model.named_parameters()
        if not value.equal(before[key])
    }
    assert any(key.startswith('head.') for key in trained)
    losses = set(runner.message_hub.log_scalars)
    assert 'train/loss_cls' in losses
    constrained = runner.model.neck is not None
    assert ('train/loss_kp' in losses) == constrained
    metrics = runner.test()
    assert 0 <= metrics['accuracy/top1'] <= 100
    box = runner.model.backbone.black_box
    changed = any(key.startswith('backbone.black_box') for key in trained)
    assert changed == (not box.frozen)
    work = Path(runner.work_dir)
    assert (work / 'splits.json').is_file()
    kept = Config.fromfile(next(work.glob('*.py')))
    assert kept.model.head.num_classes == runner.model.head.num_classes


@pytest.mark.parametrize('name', TESTED)
def test_leaf_tests_without_training(leaf_runner, name):
    metrics = leaf_runner(name).test()
    assert 0 <= metrics['accuracy/top1'] <= 100


def test_recall_of_each_textile_class(leaf_runner):
    metrics = leaf_runner('baselines/linear_vit-s_textile').test()
    recall = metrics['single-label/recall_classwise']
    assert len(recall) == 3
    assert math.isclose(
        sum(recall) / 3, metrics['accuracy/top1'], abs_tol=0.01
    )


@pytest.mark.parametrize(
    'options',
    [
        {'train_cfgs.max_epochs': 1},
        {'hed.scale': 16},
        {'custom_hoks': []},
    ],
)
def test_misspelt_key_is_refused(leaf_config, options):
    with pytest.raises(ConfigError, match='unknown config key'):
        RUNNERS.build(leaf_config('lore/vit-s_cub', **options))


@pytest.mark.parametrize(
    'key',
    [
        'model.backbone.white_box.reed_layer',
        'model.head.scal',
        'model.neck.templat',
        'model.backbone.black_box.chekpoint',
        'train_dataloader.dataset.shot',
        'default_hooks.splits.file',
    ],
)
def test_misspelt_key_of_a_part_is_named(leaf_runner, key):
    with pytest.raises((TypeError, ValueError), match=key.split('.')[-1]):
        leaf_runner('lore/vit-s_cub', **{key: 1}).train()


@pytest.mark.parametrize(
    'name,shots,seed',
    [('lore/vit-s_cub', 4, 'shots_seed'), ('lore/vit-s_textile', 3, 'seed')],
)
def test_shots_and_their_draw(leaf_config, name, shots, seed):
    where = 'train_dataloader.dataset.'
    drawn = []
    for draw in (0, 0, 1):
        options = {f'{where}shots': shots, f'{where}{seed}': draw}
        cfg = leaf_config(name, **options)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            dataset = DATASETS.build(cfg.train_dataloader.dataset)
        assert len(dataset) == 3 * shots
        drawn.append(dataset.indices)
    assert drawn[0] == drawn[1] != drawn[2]
