"""Parts by other names than train/, val/, test/ do not become classes."""

import re

import pytest

from lore_mm.datasets import ImageFolder, split_images


@pytest.mark.parametrize(
    'names',
    [
        ('Train', 'Test'),
        ('training', 'testing'),
        ('TRAIN', 'validation'),
        ('training_set', 'test-set'),
        ('Train Data', 'dev', 'eval'),
        ('val', 'test'),
    ],
)
def test_other_names_are_refused(tiny_image_folder, names) -> None:
    root = tiny_image_folder(num_classes=2, per_class=1, splits=names)
    for split in ('train', 'test'):
        with pytest.raises(ValueError, match='rename them to train/') as error:
            ImageFolder(str(root), split)
        assert all(f'{name}/' in str(error.value) for name in names)
    no_train = 'no train/' in str(error.value)
    assert no_train == (names == ('val', 'test'))


@pytest.mark.parametrize('name', ['Test', 'testing', 'eval', 'Val', 'VALID'])
def test_other_names_beside_train(tiny_image_folder, name) -> None:
    root = tiny_image_folder(num_classes=2, splits=('train', name))
    said = f'{name}/ beside train/.* rename them to train/, val/ and test/'
    with pytest.raises(ValueError, match=said):
        ImageFolder(str(root))
    # Without folders of images inside it is no part.
    for path in (root / name).rglob('*.png'):
        path.rename(path.with_suffix('.txt'))
    assert len(ImageFolder(str(root))) > 0


@pytest.mark.parametrize('name', ['valid', 'validation'])
def test_valid_is_read_as_val(tiny_image_folder, name) -> None:
    root = tiny_image_folder(
        num_classes=2, splits={'train': 4, name: 2, 'test': 3}
    )
    sets = {
        split: ImageFolder(str(root), split)
        for split in ('train', 'val', 'test')
    }
    images = split_images(**sets)
    assert [len(found) for found in images.values()] == [8, 4, 6]
    assert all(path.startswith(f'{name}/') for path in images['val'])
    (root / 'val').mkdir()
    with pytest.raises(ValueError, match=f'has val/ and {name}/, and one'):
        ImageFolder(str(root))


def test_parts_without_class_folders(tiny_image_folder) -> None:
    root = tiny_image_folder(num_classes=2)
    for old, new in (('class_0', 'train'), ('class_1', 'test')):
        (root / old).rename(root / new)
    with pytest.raises(ValueError, match='train/CLASS/'):
        ImageFolder(str(root))


@pytest.mark.parametrize('names', [('train', 'test'), ('Training', 'val')])
def test_parts_inside_the_classes(tiny_image_folder, names) -> None:
    root = tiny_image_folder()
    tiny_image_folder(num_classes=2, splits=names, name='images/class_1')
    said = ' and '.join(f'{name}/' for name in sorted(names))
    with pytest.raises(ValueError, match=re.escape(f"class_1' holds {said}")):
        ImageFolder(str(root))


def test_classes_by_such_names(tiny_image_folder) -> None:
    root = tiny_image_folder(num_classes=4)
    for old, new in (('class_1', 'test'), ('class_2', 'Train')):
        (root / old).rename(root / new)
    (root / 'class_0' / 'test').mkdir()
    for path in (root / 'class_0').glob('00[0-2].png'):
        path.rename(path.parent / 'test' / path.name)
    data = ImageFolder(str(root), split_ratio=(0.4, 0.3, 0.3))
    assert data.CLASSES == ('Train', 'class 0', 'class 3', 'test')
