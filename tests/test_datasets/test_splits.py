"""The images of a run's splits."""

import json

import pytest

from lore_mm.datasets import HoldOut, ImageFolder, split_images, write_splits


def test_disjoint_splits_are_written(tiny_image_folder, tmp_path) -> None:
    root = str(tiny_image_folder(per_class=10))
    sets = {p: ImageFolder(root, p) for p in ('train', 'val', 'test')}
    path = tmp_path / 'run' / 'splits.json'
    write_splits(path, **sets)
    stored = json.loads(path.read_text())
    assert {k: len(v) for k, v in stored.items()} == dict(
        train=21, val=3, test=6
    )
    assert stored == split_images(**sets)
    # what was written is a split file
    again = ImageFolder(root, 'val', seed=5, split_file=str(path))
    names = [x['img_path'] for x in map(again.get_data_info, range(3))]
    assert all(
        a.endswith(b) for a, b in zip(names, stored['val'], strict=True)
    )


def test_overlap_is_refused(tiny_image_folder) -> None:
    folder = dict(
        type='lore_mm.ImageFolder', data_root=str(tiny_image_folder())
    )
    train = HoldOut(folder, 'train', per_class=2, seed=0)
    val = HoldOut(folder, 'val', per_class=2, seed=1)
    with pytest.raises(ValueError, match='is in train and in val.*same seed'):
        split_images(train=train, val=val)
