"""The base configs of the data sets: built, loaded, disjoint."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import METRICS

from lore_mm.datasets import split_images

BASE = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'datasets'
SPLITS = ('train', 'val', 'test')


def build(cfg: Config) -> dict:
    """One data loader per split, without worker processes."""
    loaders = {}
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for split in SPLITS:
            loader = cfg[f'{split}_dataloader']
            assert loader.batch_size == 32
            loader.update(num_workers=0, persistent_workers=False)
            loaders[split] = Runner.build_dataloader(loader, seed=0)
        for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
            metrics = evaluator if isinstance(evaluator, list) else [evaluator]
            assert [METRICS.build(metric) for metric in metrics]
    return loaders


def check(cfg: Config, sizes: tuple[int, int, int], size: int = 224) -> dict:
    loaders = build(cfg)
    assert '{}' in cfg.template
    names = loaders['train'].dataset.metainfo['classes']
    for split, wanted in zip(SPLITS, sizes, strict=True):
        dataset = loaders[split].dataset
        assert len(dataset) == wanted
        assert dataset.metainfo['classes'] == names
        assert dataset[0]['inputs'].shape == (3, size, size)
    split_images(**{k: v.dataset for k, v in loaders.items()})
    return loaders


def test_cub(real_data, monkeypatch) -> None:
    monkeypatch.setenv('CUB_ROOT', str(real_data / 'CUB_200_2011'))
    cfg = Config.fromfile(BASE / 'cub.py')
    check(cfg, (312, 78, 329))
    cfg.merge_from_dict({'train_dataloader.dataset.shots': 16})
    check(cfg, (208, 78, 329))


def test_cub_names_the_missing_folder(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv('CUB_ROOT', str(tmp_path / 'nowhere'))
    with pytest.raises(FileNotFoundError, match='nowhere'):
        build(Config.fromfile(BASE / 'cub.py'))


def test_textile() -> None:
    pytest.importorskip('conformal_clip_data')
    cfg = Config.fromfile(BASE / 'textile.py')
    loaders = check(cfg, (600, 300, 600))
    names = loaders['train'].dataset.metainfo['classes']
    assert names == tuple(cfg.class_names)
    cfg.merge_from_dict({'train_dataloader.dataset.shots': 40})
    check(cfg, (120, 300, 600))


def test_folder(tiny_image_folder, monkeypatch) -> None:
    root = tiny_image_folder(num_classes=2, per_class=10)
    monkeypatch.setenv('FOLDER_ROOT', str(root))
    check(Config.fromfile(BASE / 'folder.py'), (14, 2, 4))


def test_another_image_size_in_a_leaf(
    tiny_image_folder, monkeypatch, tmp_path
) -> None:
    root = tiny_image_folder(num_classes=2, per_class=10)
    monkeypatch.setenv('FOLDER_ROOT', str(root))
    leaf = tmp_path / 'leaf.py'
    leaf.write_text(
        f"_base_ = ['{BASE / 'folder.py'}']\n"
        'img_size = 42\n'
        '_base_.train_dataloader.dataset.pipeline[1].scale = img_size\n'
        '_base_.val_dataloader.dataset.pipeline[1].scale = img_size\n'
        '_base_.val_dataloader.dataset.pipeline[2].crop_size = img_size\n'
        '_base_.test_dataloader.dataset.pipeline[1].scale = img_size\n'
        '_base_.test_dataloader.dataset.pipeline[2].crop_size = img_size\n'
    )
    check(Config.fromfile(leaf), (14, 2, 4), size=42)
