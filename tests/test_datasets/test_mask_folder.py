"""Images and masks in the usual folders."""

import numpy as np
import pytest
from PIL import Image

from lore_mm.datasets import MaskFolder


@pytest.fixture
def folder(tmp_path):
    for name in ('a.jpg', 'deep/b.png'):
        for kind, stem in (('images', name), ('annotations', name)):
            path = tmp_path / kind / 'train' / stem
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.zeros((4, 6), dtype=np.uint8)
            suffix = '.png' if kind == 'annotations' else path.suffix
            Image.fromarray(pixels).save(path.with_suffix(suffix))
    (tmp_path / 'images/train/._a.jpg').write_text('of macOS')
    (tmp_path / 'classes.txt').write_text('ground\n\nswan\n')
    return tmp_path


def test_records(folder):
    dataset = MaskFolder(str(folder), 'train')
    assert dataset.metainfo['classes'] == ('ground', 'swan')
    pairs = [
        (info['img_path'], info['seg_map_path'])
        for info in map(dataset.get_data_info, range(len(dataset)))
    ]
    images, masks = folder / 'images/train', folder / 'annotations/train'
    assert pairs == [
        (str(images / 'a.jpg'), str(masks / 'a.png')),
        (str(images / 'deep/b.png'), str(masks / 'deep/b.png')),
    ]


def test_given_classes(folder):
    (folder / 'classes.txt').unlink()
    dataset = MaskFolder(
        str(folder), 'train', metainfo=dict(classes=('x', 'y'))
    )
    assert dataset.metainfo['classes'] == ('x', 'y')


def test_what_is_missing(folder):
    with pytest.raises(FileNotFoundError, match='SEG_ROOT'):
        MaskFolder(str(folder), 'val')
    (folder / 'annotations/train/a.png').unlink()
    with pytest.raises(FileNotFoundError, match=r"a.jpg' has no mask"):
        MaskFolder(str(folder), 'train')
    (folder / 'images/val').mkdir()
    with pytest.raises(ValueError, match='holds no image'):
        MaskFolder(str(folder), 'val')
    (folder / 'classes.txt').write_text('\n')
    with pytest.raises(ValueError, match='names no class'):
        MaskFolder(str(folder), 'train')
    (folder / 'classes.txt').unlink()
    with pytest.raises(FileNotFoundError, match='one name per line'):
        MaskFolder(str(folder), 'train')
