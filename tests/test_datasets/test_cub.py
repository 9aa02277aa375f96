"""CUB200 on a made-up set with gaps in its ids, and on real images."""

from pathlib import Path

import pytest
from mmpretrain.registry import DATASETS
from PIL import Image

from lore_mm.datasets import CUB200

CLASSES = {3: '003.Sooty_Albatross', 17: '017.Cardinal', 151: '151.Vireo'}
# image id -> (class id, is_training_image); ids have gaps, classes mix
IMAGES = {
    5: (17, 1),
    6: (3, 1),
    9: (151, 0),
    40: (3, 0),
    41: (151, 1),
    77: (17, 0),
    78: (17, 1),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = {
        i: f'{CLASSES[label]}/{i} b.jpg' for i, (label, _) in IMAGES.items()
    }
    for name in names.values():
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 8)).save(path)
    tables = {
        'images.txt': names,
        'image_class_labels.txt': {i: c for i, (c, _) in IMAGES.items()},
        'train_test_split.txt': {i: s for i, (_, s) in IMAGES.items()},
        'classes.txt': {**CLASSES, 200: '200.Common_Yellowthroat'},
    }
    for name, table in tables.items():
        lines = [f'{key} {value}\n' for key, value in table.items()]
        (tmp_path / name).write_text(''.join(lines))
    return tmp_path


def samples(dataset: CUB200) -> dict[str, int]:
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {Path(x['img_path']).name: x['gt_label'] for x in infos}


def test_labels_are_remapped_in_class_id_order(root) -> None:
    train = CUB200(str(root), 'train')
    assert train.metainfo['classes'] == (
        'Sooty Albatross',
        'Cardinal',
        'Vireo',
    )
    assert samples(train) == {
        '5 b.jpg': 1,
        '6 b.jpg': 0,
        '41 b.jpg': 2,
        '78 b.jpg': 1,
    }
    test = CUB200(str(root), 'test')
    assert samples(test) == {'9 b.jpg': 2, '40 b.jpg': 0, '77 b.jpg': 1}
    assert test.metainfo == train.metainfo


@pytest.mark.parametrize(
    'classes',
    [
        [151, 3],
        ['151.Vireo', '003.Sooty_Albatross'],
        ['Vireo', 'Sooty Albatross'],
        [151, 'Sooty Albatross', 3],
    ],
)
def test_chosen_classes(root, classes) -> None:
    train = CUB200(str(root), 'train', classes=classes)
    assert train.CLASSES == ('Sooty Albatross', 'Vireo')
    assert samples(train) == {'6 b.jpg': 0, '41 b.jpg': 1}


def test_built_by_mmpretrain_and_renamed(root) -> None:
    cfg = dict(
        type='lore_mm.CUB200',
        data_root=str(root),
        metainfo=dict(classes=['a', 'b', 'c']),
    )
    assert DATASETS.build(cfg).CLASSES == ('a', 'b', 'c')
    cfg['metainfo'] = dict(classes=['a', 'b'])
    with pytest.raises(ValueError, match='2 class names were given, but .* 3'):
        DATASETS.build(cfg)


def test_unknown_class(root) -> None:
    with pytest.raises(ValueError, match="'Cardinl' is not in .*'Cardinal'"):
        CUB200(str(root), classes=['Cardinl'])
    with pytest.raises(ValueError, match='class 200 is not in'):
        CUB200(str(root), classes=[200])  # has a name, but no image
    for wrong in ('Cardinal', []):
        with pytest.raises(ValueError, match='classes must be a list'):
            CUB200(str(root), classes=wrong)


def test_missing_files(root, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'.*nowhere' does not exist"):
        CUB200(str(tmp_path / 'nowhere'))
    with pytest.raises(ValueError, match=r"split must be .*got 'val'"):
        CUB200(str(root), split='val')
    next(root.glob('images/*/5 b.jpg')).unlink()
    with pytest.raises(FileNotFoundError, match='1 of 4 train images .*5 b'):
        CUB200(str(root))
    (root / 'classes.txt').unlink()
    with pytest.raises(FileNotFoundError, match=r'classes\.txt'):
        CUB200(str(root))


def append(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line + '\n')


def test_malformed_files(root) -> None:
    append(root / 'images.txt', '99 003.Sooty_Albatross/99.jpg')
    with pytest.raises(ValueError, match='do not list the same images.* 99'):
        CUB200(str(root))
    append(root / 'image_class_labels.txt', '99 four')
    with pytest.raises(ValueError, match=r"line 8: expected .* got '99 four'"):
        CUB200(str(root))


def test_class_without_name_or_image(root) -> None:
    for name, value in (
        ('images.txt', 'x/99.jpg'),
        ('image_class_labels.txt', '180'),
        ('train_test_split.txt', '1'),
    ):
        append(root / name, f'99 {value}')
    with pytest.raises(ValueError, match='class id 180 has no name'):
        CUB200(str(root))
    append(root / 'classes.txt', '180 180.Warbler')
    with pytest.raises(ValueError, match=r"'180\.Warbler' has no test image"):
        CUB200(str(root), 'test')


@pytest.mark.parametrize(
    'folder,train,test,classes,first',
    [
        ('CUB_200_2011', 390, 329, 13, 'Black footed Albatross'),
        ('CUB_bbox_crops_227', 419, 409, 14, 'Black capped Vireo'),
    ],
)
def test_real_images(real_data, folder, train, test, classes, first) -> None:
    for split, count in (('train', train), ('test', test)):
        dataset = CUB200(str(real_data / folder), split)
        assert len(dataset) == count
        assert len(dataset.CLASSES) == classes
        assert dataset.CLASSES[0] == first
        assert set(dataset.get_gt_labels()) == set(range(classes))
