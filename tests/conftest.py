"""Fixtures shared by all tests."""

import gc
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import RUNNERS, DefaultScope
from mmengine.runner import Runner
from PIL import Image

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session', autouse=True)
def _cheap_garbage_collection() -> None:
    """Leave imported modules out of the collection each data set runs."""
    gc.collect()
    gc.freeze()


def _real_data_root() -> Path | None:
    """Folder of the small real data, or None if nobody named one."""
    named = os.environ.get('LORE_TEST_DATA')
    if named:
        return Path(named)
    if os.environ.get('CI') == 'true':
        return CHECKOUT.parent / 'shared' / 'data'
    return None


@pytest.fixture(scope='session')
def real_data() -> Path:
    """Folder of the small real data sets; skips the test if there is none."""
    root = _real_data_root()
    if root is None:
        pytest.skip('LORE_TEST_DATA is not set')
    if not root.is_dir():
        message = f'the real data folder {root} does not exist'
        if 'LORE_TEST_DATA' in os.environ and os.environ.get('CI') == 'true':
            pytest.fail(message)  # asked for, and yet nothing would be tested
        pytest.skip(message)
    return root


def _write_class(
    folder: Path, label: int, count: int, size: int, seed: int
) -> None:
    """Write noisy images whose mean colour tells their class."""
    folder.mkdir(parents=True)
    colour = np.random.default_rng(label).integers(40, 216, 3)
    rng = np.random.default_rng((seed, label))
    for i in range(count):
        noise = rng.integers(-40, 40, (size, size, 3))
        pixels = np.clip(colour + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f'{i:03d}.png')


@pytest.fixture
def tiny_image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Factory of small image folders, one sub-folder per class.

    ``make(num_classes=3, per_class=6, size=32, splits=None, name='images')``
    returns the root. Classes are named ``class_0``, ``class_1``, ... and can
    be told apart by their mean colour. ``splits`` is None (classes right
    under the root), a sequence of names such as ``('train', 'test')``, or a
    mapping from name to images per class.
    """

    def make(
        num_classes: int = 3,
        per_class: int = 6,
        size: int = 32,
        splits: Sequence[str] | Mapping[str, int] | None = None,
        name: str = 'images',
    ) -> Path:
        root = tmp_path / name
        if splits is None:
            counts = {'': per_class}
        elif isinstance(splits, Mapping):
            counts = dict(splits)
        else:
            counts = dict.fromkeys(splits, per_class)
        for seed, (split, count) in enumerate(counts.items()):
            for label in range(num_classes):
                folder = root / split / f'class_{label}'
                _write_class(folder, label, count, size, seed)
        return root

    return make


def _tiny_model(num_classes: int) -> dict:
    """LORE on a ViT with random weights, small enough for seconds."""
    return dict(
        type='ImageClassifier',
        data_preprocessor=dict(
            type='ClsDataPreprocessor',
            num_classes=num_classes,
            mean=[127.5] * 3,
            std=[127.5] * 3,
            to_rgb=False,
        ),
        backbone=dict(
            type='lore_mm.LOREViT',
            black_box=dict(
                type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=64
            ),
            white_box=dict(
                type='lore_mm.WhiteBox', preset='released', drop_rate=0.0
            ),
            out_type='lore',
        ),
        neck=dict(
            type='lore_mm.KnowledgeLocalityNeck',
            num_classes=num_classes,
            embed_dims=64,
            text_dims=16,
            knowledge=dict(type='lore_mm.RandomTextEncoder', embed_dims=16),
        ),
        head=dict(
            type='lore_mm.LOREHead',
            num_classes=num_classes,
            in_channels=64,
            scale=16.0,
            constraint=dict(type='lore_mm.PrototypeConstraintLoss'),
        ),
    )


def _tiny_loader(root: Path, split: str, augment: bool, batch: int) -> dict:
    steps = [dict(type='lore_mm.LoadRGBImage')]
    if augment:
        steps += [
            dict(type='RandomResizedCrop', scale=64, backend='pillow'),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        ]
    steps += [dict(type='PackInputs')]
    return dict(
        batch_size=batch,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=split == 'train'),
        dataset=dict(
            type='lore_mm.ImageFolder',
            data_root=str(root),
            split=split,
            pipeline=steps,
        ),
    )


@pytest.fixture
def tiny_config(
    tmp_path: Path, tiny_image_folder: Callable[..., Path]
) -> Callable[..., Path]:
    """Factory of a config file that trains LORE for seconds.

    ``make(name='tiny', num_classes=3, augment=True, **options)`` makes an
    image folder (16, 4 and 8 images per class) unless it is there, and
    returns the config's path. ``options`` override keys: ``a__b`` is ``a.b``.
    """

    def make(
        name: str = 'tiny',
        num_classes: int = 3,
        augment: bool = True,
        **options,
    ) -> Path:
        root = tmp_path / f'images_{num_classes}'
        if not root.exists():
            tiny_image_folder(
                num_classes=num_classes,
                size=64,
                splits=dict(train=16, val=4, test=8),
                name=root.name,
            )
        cfg = Config(
            dict(
                _base_=str(CHECKOUT / 'configs/_base_/default_runtime.py'),
                work_dir=str(tmp_path / 'work' / name),
                model=_tiny_model(num_classes),
                train_dataloader=_tiny_loader(root, 'train', augment, 8),
                val_dataloader=_tiny_loader(root, 'val', False, 8),
                test_dataloader=_tiny_loader(root, 'test', False, 8),
                val_evaluator=dict(type='Accuracy', topk=(1,)),
                test_evaluator=dict(type='Accuracy', topk=(1,)),
                train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
                val_cfg=dict(),
                test_cfg=dict(),
                optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.001)),
                param_scheduler=dict(
                    type='CosineAnnealingLR', convert_to_iter_based=True
                ),
                default_hooks=dict(logger=dict(interval=1)),
            )
        )
        cfg.merge_from_dict(
            {key.replace('__', '.'): value for key, value in options.items()}
        )
        lines = [f'{key} = {value!r}' for key, value in cfg.to_dict().items()]
        path = tmp_path / f'{name}.py'
        path.write_text('\n'.join(lines) + '\n')
        return path

    return make


@pytest.fixture
def tiny_runner(
    tiny_config: Callable[..., Path],
) -> Iterator[Callable[..., Runner]]:
    """Factory of a runner: ``make(**arguments of tiny_config)``."""

    def make(**kwargs) -> Runner:
        cfg = Config.fromfile(tiny_config(**kwargs))
        # mmengine shares logs and counters between runners of one name.
        cfg.experiment_name = uuid.uuid4().hex
        return RUNNERS.build(cfg)

    yield make
    DefaultScope._instance_dict.clear()
