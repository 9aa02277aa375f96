"""SplitFile: what a split file may hold, and what it may not."""

import json
from pathlib import Path

import pytest

from lore_mm.datasets import SplitFile
from lore_mm.datasets.split_file import read_split_file


@pytest.fixture
def root(published) -> Path:
    return published('eurosat')


def load(root: Path, **kwargs) -> SplitFile:
    return SplitFile(
        str(root), 'split_zhou_EuroSAT.json', image_dir='2750', **kwargs
    )


def write(root: Path, content: object) -> None:
    (root / 'split_zhou_EuroSAT.json').write_text(json.dumps(content))


def test_parts(root) -> None:
    sizes = {
        split: len(load(root, split=split))
        for split in ('train', 'val', 'trainval', 'test')
    }
    assert sizes == dict(train=6, val=4, trainval=10, test=4)
    info = load(root, split='val').get_data_info(0)
    assert info['img_path'] == str(root / '2750/0/3.jpg')
    assert info['gt_label'] == 0


def test_names(root) -> None:
    assert load(root).CLASSES == ('annual crop', 'Sea Lake')
    renamed = load(root, metainfo=dict(classes=['field', 'lake']))
    assert list(renamed.CLASSES) == ['field', 'lake']
    with pytest.raises(ValueError, match='1 class names were given.* has 2'):
        load(root, metainfo=dict(classes=['field']))
    with pytest.raises(ValueError, match="label 0 is 'Sea Lake' there"):
        load(root, metainfo=dict(classes=['Sea Lake', 'annual crop']))


@pytest.mark.parametrize(
    'content,said',
    [
        ([], 'must hold lists for train, val, test'),
        (dict(train=[], val=[]), 'must hold lists for train, val, test'),
        (dict(train=[['a', 0]], val=[], test=[]), r'train: an item must be'),
        (dict(train=[['a', '0', 'x']], val=[], test=[]), 'an item must be'),
        (
            dict(train=[['a', 0, 'x']], val=[], test=[['b', 0, 'y']]),
            "label 0 is 'x' and 'y'",
        ),
        (
            dict(train=[['a', 0, 'x'], ['b', 2, 'z']], val=[], test=[]),
            'without gaps; 1 has no image',
        ),
    ],
)
def test_malformed(root, content, said) -> None:
    write(root, content)
    with pytest.raises(ValueError, match=said):
        load(root)


def test_wrong_arguments(root, tmp_path) -> None:
    with pytest.raises(ValueError, match="split must be one of.*got 'dev'"):
        load(root, split='dev')
    with pytest.raises(FileNotFoundError, match='must hold the images'):
        load(tmp_path / 'nowhere')
    write(root, dict(train=[['0/0.jpg', 0, 'x']], val=[], test=[]))
    with pytest.raises(ValueError, match='lists no test images'):
        load(root, split='test')
    (root / 'split_zhou_EuroSAT.json').write_text('{')
    with pytest.raises(ValueError, match='is not a JSON file'):
        read_split_file(root / 'split_zhou_EuroSAT.json')
