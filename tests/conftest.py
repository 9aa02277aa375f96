"""Fixtures shared by all tests."""

import gc
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
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
        pytest.skip(f'the real data folder {root} does not exist')
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
