"""Every data set of the benchmark, from a fake in its published layout."""

import shutil
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from lore_mm.datasets import split_images
from lore_mm.engine import check_config_keys

BASE = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'datasets'
NAMES = (
    'flowers102',
    'cars',
    'aircraft',
    'dogs',
    'cifar10',
    'cifar100',
    'dtd',
    'imagenet',
    'eurosat',
    'resisc45',
    'ucf101',
    'patternnet',
    'nabirds',
    'grocery',
)
SPLITS = ('train', 'val', 'test')
# Where a whole set has more classes than a fake can have.
FEWER = {'imagenet': ['tench', 'goldfish']}
# What the images of a split cannot be found without.
PART = {
    'flowers102': 'split_zhou_OxfordFlowers.json',
    'cars': 'split_zhou_StanfordCars.json',
    'eurosat': 'split_zhou_EuroSAT.json',
    'ucf101': 'split_zhou_UCF101.json',
    'resisc45': 'split.json',
    'patternnet': 'split.json',
    'aircraft': 'data/images_variant_trainval.txt',
    'dogs': 'train_list.mat',
    'dtd': 'imdb/imdb.mat',
    'nabirds': 'classes.txt',
    'imagenet': 'train',
    'grocery': 'dataset/classes.csv',
}


def load(name: str) -> Config:
    cfg = Config.fromfile(BASE / f'{name}.py')
    for split in SPLITS:
        dataset = cfg[f'{split}_dataloader'].dataset
        while 'dataset' in dataset:
            dataset = dataset.dataset
        if name in FEWER:
            dataset.metainfo = dict(classes=FEWER[name])
    return cfg


def build(cfg: Config, split: str):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DATASETS.build(cfg[f'{split}_dataloader'].dataset)


@pytest.mark.parametrize('name', NAMES)
def test_splits_labels_and_names(published, monkeypatch, name) -> None:
    published(name)
    monkeypatch.setenv('LORE_IMG_SIZE', '32')
    number, first, _ = published.facts[name]
    cfg = load(name)
    check_config_keys(cfg)
    assert cfg.template.count('{}') == 1
    built = {split: build(cfg, split) for split in SPLITS}
    for dataset in built.values():
        assert len(dataset.metainfo['classes']) == number
        assert dataset.metainfo['classes'][0] == first
        assert set(dataset.get_gt_labels()) == set(range(number))
        assert dataset[0]['inputs'].shape == (3, 32, 32)
    assert len(built['test']) == number * published.test
    given = len(built['train']) + len(built['val'])
    extra = {'imagenet': 2 * published.train, 'grocery': published.train + 1}
    assert given == number * extra.get(name, published.train)


@pytest.mark.parametrize('name', NAMES)
def test_few_shots_and_their_draw(published, name) -> None:
    published(name)
    drawn = []
    for seed in (0, 0, 3):
        cfg = load(name)
        dataset = cfg.train_dataloader.dataset
        dataset.shots = 2
        dataset['seed' if name == 'grocery' else 'shots_seed'] = seed
        built = build(cfg, 'train')
        assert len(built) == 2 * published.facts[name][0]
        drawn.append(built.indices)
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize('name', sorted(PART))
def test_missing_file_is_named(published, name) -> None:
    lost = published(name) / PART[name]
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    with pytest.raises(FileNotFoundError, match=Path(PART[name]).name):
        build(load(name), 'train')


@pytest.mark.parametrize('name', ['cifar10', 'cifar100'])
def test_missing_arrays(published, name) -> None:
    shutil.rmtree(next(published(name).iterdir()))
    with pytest.raises(RuntimeError, match='Cannot find CIFAR.* dataset in'):
        build(load(name), 'train')


def test_arrays_have_no_names_to_record(published) -> None:
    published('cifar10')
    built = {split: build(load('cifar10'), split) for split in SPLITS}
    assert split_images(**built) == {}


@pytest.mark.parametrize('name', ['flowers102', 'dogs', 'nabirds', 'grocery'])
def test_missing_image_is_named(published, name) -> None:
    root = published(name)
    for path in [path for path in root.rglob('*.jpg') if path.is_file()]:
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"do not exist.*'.*\.jpg'"):
        build(load(name), 'test')


def test_lore_trains_on_arrays(published, tiny_runner, monkeypatch) -> None:
    published('cifar10')
    monkeypatch.setenv('LORE_IMG_SIZE', '64')
    cfg = load('cifar10')
    loaders = {}
    for split in SPLITS:
        dataset = cfg[f'{split}_dataloader'].dataset.to_dict()
        dataset['_delete_'] = True
        loaders[f'{split}_dataloader__dataset'] = dataset
    runner = tiny_runner(num_classes=10, train_cfg__max_epochs=1, **loaders)
    runner.train()
    assert 'train/loss_kp' in runner.message_hub.log_scalars
    assert 0 <= runner.test()['accuracy/top1'] <= 100
