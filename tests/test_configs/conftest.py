"""Shipped configs on made-up data and a ViT that is small enough."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import RUNNERS, DefaultScope
from mmengine.runner import Runner
from PIL import Image

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CLIP = '_clip_'
DIMS, OUT_DIMS, TEXT_DIMS = 32, 24, 16
SIDE = 64  # of the made-up images, in pixels


def write_images(folder: Path, names: list[str], seed: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for name in names:
        pixels = rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)


def write_cub(root: Path) -> None:
    """Three classes with 6 training and 3 test images each."""
    rows = []
    for label in (1, 2, 3):
        names = [f'{label}_{i}.png' for i in range(9)]
        folder = f'00{label}.Bird_{label}'
        write_images(root / 'images' / folder, names, label)
        rows += [
            (f'{folder}/{n}', label, int(i < 6)) for i, n in enumerate(names)
        ]
    tables = {
        'images.txt': [row[0] for row in rows],
        'image_class_labels.txt': [row[1] for row in rows],
        'train_test_split.txt': [row[2] for row in rows],
        'classes.txt': [f'00{label}.Bird_{label}' for label in (1, 2, 3)],
    }
    for name, values in tables.items():
        lines = [f'{i} {value}\n' for i, value in enumerate(values, 1)]
        (root / name).write_text(''.join(lines))


@pytest.fixture(scope='session')
def fakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables that lead to small data sets."""
    root = tmp_path_factory.mktemp('fakes')
    write_cub(root / 'cub')
    for i, name in enumerate(('nominal', 'local', 'global')):
        names = [f'{j}.png' for j in range(9)]
        write_images(root / 'textile' / name, names, i)
    for i, name in enumerate(('cat', 'dog')):
        write_images(
            root / 'folder' / name, [f'{j}.png' for j in range(10)], i
        )
    return {
        'CUB_ROOT': str(root / 'cub'),
        'TEXTILE_ROOT': str(root / 'textile'),
        'FOLDER_ROOT': str(root / 'folder'),
        'LORE_IMG_SIZE': str(SIDE),
    }


def shrink(cfg: Config) -> Config:
    """The same architecture, two blocks deep, without weights."""
    box = cfg.model.backbone.black_box
    clip = CLIP in box.model_name
    box.pop('checkpoint', None)
    box.update(pretrained=False, embed_dim=DIMS, depth=2, num_heads=2)
    if clip:
        box.num_classes = OUT_DIMS  # width of the projection
    cfg.model.head.in_channels = OUT_DIMS if clip else DIMS
    white_box = cfg.model.backbone.get('white_box') or {}
    if 'write_layer' in white_box:
        white_box.write_layer = 1
    if 'global_layer' in white_box:
        white_box.global_layer = white_box.get('write_layer', 0)
    if cfg.model.head.get('local_channels'):
        cfg.model.head.local_channels = 2 * DIMS  # a pair of pools
    if 'knowledge' in cfg.model.head:
        cfg.model.head.knowledge = dict(
            type='lore_mm.RandomTextEncoder', embed_dims=OUT_DIMS
        )
    if cfg.model.get('neck'):
        cfg.model.neck.update(embed_dims=DIMS, text_dims=TEXT_DIMS)
        cfg.model.neck.knowledge = dict(
            type='lore_mm.RandomTextEncoder', embed_dims=TEXT_DIMS
        )
    return cfg


def shrink_data(cfg: Config) -> Config:
    """Few images of a set that takes a number of them."""
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        if loader is None:
            continue
        loader.update(num_workers=0, batch_size=8)
        dataset = loader.dataset
        if dataset.type == 'lore_mm.FewShotSubset':
            dataset.shots = 4
            dataset = dataset.dataset
        if 'per_class' in dataset:
            dataset.per_class = dict(train=4, val=2, test=3)
    return cfg


@pytest.fixture
def leaf_config(
    fakes: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Config]:
    """``make('lore/vit-s_cub')``: a small version of a shipped config."""

    def make(name: str, **options) -> Config:
        for key, value in fakes.items():
            monkeypatch.setenv(key, value)
        if 'vit-s' in name:  # a multiple of its patch of 14 pixels
            monkeypatch.setenv('LORE_IMG_SIZE', '56')
        cfg = shrink_data(shrink(Config.fromfile(CONFIGS / f'{name}.py')))
        cfg.work_dir = str(tmp_path / 'work')
        cfg.experiment_name = uuid.uuid4().hex
        cfg.merge_from_dict(options)
        return cfg

    return make


@pytest.fixture
def leaf_runner(
    leaf_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Runner]]:
    """``make('lore/vit-s_cub')``: its runner, without the config's layout."""
    monkeypatch.setattr(
        'yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True)
    )
    yield lambda name, **options: RUNNERS.build(leaf_config(name, **options))
    DefaultScope._instance_dict.clear()
