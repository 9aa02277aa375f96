"""Masks of classes: what is read, refused and warned of."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image

from lore_mm.datasets import LoadMask, MaskFolder, label_masks
from lore_mm.datasets.label_masks import check_masks, read_labels

CLASSES = ('ground', 'swan', 'boat')


@pytest.fixture
def write(tmp_path):
    """Write masks whose pixels are the values given, side by side."""

    def make(*masks, dtype=np.uint8):
        paths = []
        for i, values in enumerate(masks):
            paths.append(str(tmp_path / f'{i}.png'))
            Image.fromarray(np.array([values], dtype)).save(paths[-1])
        return paths

    return make


def test_modes(write, tmp_path):
    path = tmp_path / 'a.png'
    labels = np.array([[0, 1, 2, 255]], np.uint8)
    for mask in (
        Image.fromarray(labels),
        Image.fromarray(labels, mode='P'),
        Image.fromarray(labels.astype(np.uint16)),
    ):
        if mask.mode == 'P':
            mask.putpalette(list(range(256)) * 3)
        mask.save(path)
        found = read_labels(path, 3)
        assert found.tolist() == labels.tolist()
        assert found.dtype == np.uint8
    Image.fromarray(labels == 1).save(path)
    assert read_labels(path, 2).tolist() == [[0, 1, 0, 0]]
    (path,) = write([0, 1, 3, 255])
    found = read_labels(path, 3, reduce_zero_label=True)
    assert found.tolist() == [[255, 0, 2, 255]]


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA'])
def test_colours_are_refused(tmp_path, mode):
    path = tmp_path / 'a.png'
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(ValueError, match=f"a.png' must .* got mode {mode}; "):
        read_labels(path, 3)


def test_labels_out_of_range(write):
    (path,) = write([0, 7, 255])
    with pytest.raises(ValueError, match="0.png' has label 7; there are 2 cl"):
        read_labels(path, 2)
    read_labels(path, 8)
    read_labels(path, 7, reduce_zero_label=True)
    with pytest.raises(ValueError, match='labels go from 1 to 6, and 255'):
        read_labels(path, 6, reduce_zero_label=True)
    (path,) = write([0, 257], dtype=np.uint16)  # 1 in eight bits
    with pytest.raises(ValueError, match='has label 257; there are 2 classes'):
        read_labels(path, 2)


def test_damaged_files(write, tmp_path):
    (path,) = write(np.random.default_rng(0).integers(0, 200, 900))
    (tmp_path / 'b.png').write_bytes(Path(path).read_bytes()[:400])
    with pytest.raises(ValueError, match="b.png' cannot be read: "):
        read_labels(tmp_path / 'b.png', 200)
    with pytest.raises(FileNotFoundError, match="c.png' does not exist"):
        read_labels(tmp_path / 'c.png', 2)


def test_objects_of_255_are_refused(write):
    paths = write([0, 255], [0, 0], [255, 255])
    with pytest.raises(ValueError, match='all 3 masks, such as .*0.png'):
        check_masks(paths, CLASSES)
    with pytest.raises(ValueError, match='hold nothing but 0 and 255, and 25'):
        check_masks(paths, CLASSES, reduce_zero_label=True)
    check_masks(paths, ['one'])  # 255 is what it is not
    check_masks(write([0, 0]), CLASSES)
    check_masks(write([0, 255], [0, 1]), CLASSES)


def test_all_are_read_before_they_are_refused(write, monkeypatch):
    monkeypatch.setattr(label_masks, '_LOOK_AT', 1)
    for i in range(4):
        masks = [[0, 255]] * 4
        masks[i] = [1, 255]
        check_masks(write(*masks), CLASSES)


def test_classes_without_a_pixel(write, warnings, monkeypatch):
    paths = write([0, 0], [0, 255], [0, 1], [1, 1])
    check_masks(paths, CLASSES)
    assert not warnings
    check_masks(paths, CLASSES, training=True)
    (text,) = warnings
    assert 'no pixel of 4 training masks has class boat:' in text
    check_masks(write([0, 1], [2, 2]), CLASSES, training=True)
    monkeypatch.setattr(label_masks, '_LOOK_AT', 3)
    check_masks(paths, CLASSES, training=True)  # nobody knows
    assert len(warnings) == 1


@pytest.fixture
def folder(tmp_path):
    """Two splits of two images of 6 x 4 pixels."""
    for split in ('train', 'val'):
        for kind in ('images', 'annotations'):
            where = tmp_path / kind / split
            where.mkdir(parents=True)
            for i in range(2):
                pixels = np.full((4, 6), i, np.uint8)
                Image.fromarray(pixels).save(where / f'{i}.png')
    (tmp_path / 'classes.txt').write_text('ground\nswan\n')
    return tmp_path


STEPS = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(type='lore_mm.LoadMask'),
    dict(type='PackSegInputs'),
]


def build(folder, split, **kwargs):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MaskFolder(str(folder), split, pipeline=STEPS, **kwargs)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_data_set_checks_its_masks(folder, split, warnings):
    data = build(folder, split)
    labels = [data[i]['data_samples'].gt_sem_seg.data for i in range(2)]
    assert [found.unique().tolist() for found in labels] == [[0], [1]]
    path = folder / 'annotations' / split / '1.png'
    Image.fromarray(np.full((6, 4), 1, np.uint8)).save(path)
    said = f"{split}/1.png' has 4 x 6 pixels, its image 6 x 4"
    with pytest.raises(ValueError, match=said):
        build(folder, split)[1]
    Image.fromarray(np.full((4, 6), 7, np.uint8)).save(path)
    with pytest.raises(ValueError, match=f"{split}/1.png' has label 7"):
        data[1]
    with pytest.raises(ValueError, match=f"{split}/1.png' has label 7"):
        build(folder, split)
    Image.fromarray(np.full((4, 6), 255, np.uint8)).save(path)
    with pytest.raises(ValueError, match='all 2 masks'):
        build(folder, split)
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(path)
    build(folder, split)
    assert len(warnings) == (split == 'train')


def test_image_alone(folder):
    """As mmseg's inference gives it to the pipeline of a test."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        steps = Compose(STEPS)
    path = str(folder / 'images' / 'val' / '0.png')
    found = steps(dict(img_path=path))
    assert 'gt_sem_seg' not in found['data_samples']
    assert repr(LoadMask()) == 'LoadMask()'
