"""ImageFolder: layouts, seeded split, and folders that are wrong."""

import json
from collections import Counter
from pathlib import Path

import pytest
from mmpretrain.registry import DATASETS

from lore_mm.datasets import ImageFolder, split_images

PARTS = ('train', 'val', 'test')


def split(root: Path, **kwargs) -> dict[str, list[str]]:
    sets = {part: ImageFolder(str(root), part, **kwargs) for part in PARTS}
    return split_images(**sets)  # raises if two parts share an image


def per_class(names: list[str]) -> dict[str, int]:
    return dict(Counter(Path(name).parent.name for name in names))


def test_single_folder_of_classes(tiny_image_folder) -> None:
    root = tiny_image_folder(num_classes=2, per_class=10)
    parts = split(root)
    for part, count in zip(PARTS, (7, 1, 2), strict=True):
        assert per_class(parts[part]) == {'class_0': count, 'class_1': count}
    assert parts == split(root)
    assert parts != split(root, seed=1)
    assert per_class(split(root, split_ratio=(0.4, 0.3, 0.3))['val']) == {
        'class_0': 3,
        'class_1': 3,
    }


def test_labels_and_names(tiny_image_folder) -> None:
    root = tiny_image_folder()
    cfg = dict(type='lore_mm.ImageFolder', data_root=str(root), split='test')
    data = DATASETS.build(cfg)
    assert data.CLASSES == ('class 0', 'class 1', 'class 2')
    for i in range(len(data)):
        info = data.get_data_info(i)
        folder = Path(info['img_path']).parent.name
        assert folder == f'class_{info["gt_label"]}'
    data = DATASETS.build({**cfg, 'metainfo': dict(classes=list('abc'))})
    assert data.CLASSES == ('a', 'b', 'c')
    with pytest.raises(ValueError, match='2 class names .* class_0, class_1'):
        DATASETS.build({**cfg, 'metainfo': dict(classes=list('ab'))})


def test_folders_of_the_labels(tiny_image_folder) -> None:
    root = tiny_image_folder()
    given = dict(
        folders=['class_0', 'class_1', 'class_2'],
        metainfo=dict(classes=['cat', 'dog', 'owl']),
    )
    assert ImageFolder(str(root), **given).CLASSES == ('cat', 'dog', 'owl')
    # In another order, the labels go with the names.
    turned = ImageFolder(str(root), folders=given['folders'][::-1])
    assert turned.CLASSES == ('class 2', 'class 1', 'class 0')
    assert Path(turned.get_data_info(0)['img_path']).parent.name == (
        f'class_{2 - turned.get_data_info(0)["gt_label"]}'
    )
    (root / 'class_0').rename(root / 'tabby cat')
    for part in (*PARTS, 'all'):
        with pytest.raises(ValueError, match='unknown: tabby cat') as error:
            ImageFolder(str(root), part, **given)
        assert ('missing: class_0' in str(error.value)) == (part != 'all')
    (root / 'tabby cat').rename(root.parent / 'class_0')
    with pytest.raises(ValueError, match=r'for \(missing: class_0\)'):
        ImageFolder(str(root), 'test', **given)
    assert set(ImageFolder(str(root), 'all', **given).get_gt_labels()) == {
        1,
        2,
    }


def test_all_images(tiny_image_folder, warnings) -> None:
    plain = tiny_image_folder(num_classes=2, per_class=2)
    (plain / 'class_0' / 'notes.txt').touch()
    data = ImageFolder(str(plain), 'all', split_file='none.json')
    assert list(data.get_gt_labels()) == [0, 0, 1, 1]
    assert data.record is None
    assert data.left_out == ['class_0/notes.txt']
    assert 'class_0/notes.txt' in warnings[0]
    root = tiny_image_folder(splits=dict(train=1, test=2), name='parts')
    assert len(ImageFolder(str(root), 'all')) == 3 * 3
    for path in plain.rglob('*.png'):
        path.unlink()
    with pytest.raises(ValueError, match=r'add some, or remove the folder\.$'):
        ImageFolder(str(plain), 'all')


def test_own_folders(tiny_image_folder) -> None:
    root = tiny_image_folder(splits={'train': 4, 'val': 2, 'test': 3})
    parts = split(root)
    for part, count in zip(PARTS, (12, 6, 9), strict=True):
        assert len(parts[part]) == count
        assert all(name.startswith(f'{part}/') for name in parts[part])
    assert ImageFolder(str(root)).record is None


@pytest.mark.parametrize(
    'own,sizes',
    [
        (('train', 'test'), (7, 1, 8)),
        (('train', 'val'), (6, 8, 2)),
        (('train',), (5, 1, 2)),
    ],
)
def test_missing_parts_are_drawn_from_train(
    tiny_image_folder, own, sizes
) -> None:
    parts = split(tiny_image_folder(num_classes=2, per_class=8, splits=own))
    for part, size in zip(PARTS, sizes, strict=True):
        assert len(parts[part]) == 2 * size
        where = part if part in own else 'train'
        assert all(name.startswith(where) for name in parts[part]) or (
            own == ('train',)
        )


def test_a_class_may_be_called_train(tiny_image_folder) -> None:
    root = tiny_image_folder(num_classes=2)
    (root / 'class_1').rename(root / 'train')
    data = ImageFolder(str(root), 'val')
    assert data.CLASSES == ('class 0', 'train')


def test_split_file_is_written_and_read(tiny_image_folder, tmp_path) -> None:
    root = tiny_image_folder(per_class=10)
    path = tmp_path / 'run' / 'split.json'
    parts = split(root, split_file=str(path))
    stored = json.loads(path.read_text())
    assert {part: stored[part] for part in PARTS} == parts
    assert stored['seed'] == 0

    # made by hand: neither seed nor ratio, another choice
    by_hand = dict(train=parts['test'], val=parts['val'], test=parts['train'])
    path.write_text(json.dumps(by_hand))
    assert split(root, split_file=str(path), seed=7) == by_hand


@pytest.mark.parametrize('part', ['val', 'test'])
def test_only_training_draws_a_split(tiny_image_folder, tmp_path, part):
    root = tiny_image_folder(per_class=10)
    path = tmp_path / 'gone' / 'split.json'
    data = ImageFolder(str(root), split_file=str(path), lazy_init=True)
    assert data.CLASSES == ('class 0', 'class 1', 'class 2')
    with pytest.raises(FileNotFoundError, match=f'the {part} images are not'):
        ImageFolder(str(root), part, split_file=str(path))
    assert not path.parent.exists()
    data.full_init()
    assert ImageFolder(str(root), part, split_file=str(path)).record
    # What has a folder of its own needs no file.
    root = tiny_image_folder(splits=PARTS, name='parts')
    assert len(ImageFolder(str(root), part, split_file='none.json'))


def test_a_run_writes_its_split(tiny_runner, tiny_image_folder, tmp_path):
    path = tmp_path / 'split.json'
    root = tiny_image_folder(size=64, per_class=10)
    options = {
        f'{part}_dataloader__dataset__{key}': value
        for part in PARTS
        for key, value in dict(
            data_root=str(root), split_file=str(path)
        ).items()
    }
    tests = tiny_runner(**options)
    with pytest.raises(FileNotFoundError, match='the test images are not'):
        tests.test()
    assert not path.exists()
    runner = tiny_runner(**options, train_cfg__max_epochs=1)
    runner.train()
    stored = json.loads(path.read_text())
    assert len(runner.test_dataloader.dataset) == len(stored['test']) == 6


def test_split_file_of_something_else(tiny_image_folder, tmp_path) -> None:
    root = tiny_image_folder(per_class=10)
    path = str(tmp_path / 'split.json')
    ImageFolder(str(root), split_file=path)
    with pytest.raises(ValueError, match='seed is 0 there, 3 here'):
        ImageFolder(str(root), seed=3, split_file=path)
    with pytest.raises(ValueError, match=r'split_ratio is \[0\.7, 0\.1'):
        ImageFolder(str(root), split_ratio=(0.5, 0.25, 0.25), split_file=path)
    (root / 'class_0' / '003.png').rename(root / 'class_1' / 'new.png')
    with pytest.raises(ValueError, match='does not match') as error:
        ImageFolder(str(root), split_file=path)
    assert 'not in the folder: class_0/003.png' in str(error.value)
    assert 'not listed: class_1/new.png' in str(error.value)
    assert 'delete the file to split anew' in str(error.value)


def test_split_file_with_faults(tiny_image_folder, tmp_path) -> None:
    root = tiny_image_folder(num_classes=2, per_class=3)
    path = tmp_path / 'split.json'
    parts = split(root, split_file=str(path))
    twice = {**parts, 'val': parts['val'] + parts['test']}
    path.write_text(json.dumps(twice))
    with pytest.raises(ValueError, match='listed twice: class_0'):
        ImageFolder(str(root), split_file=str(path))
    path.write_text(json.dumps({'train': parts['train']}))
    with pytest.raises(ValueError, match='must list images under train, val'):
        ImageFolder(str(root), split_file=str(path))


def test_other_files_are_left_out(tiny_image_folder, warnings) -> None:
    root = tiny_image_folder(per_class=10)
    (root / 'class_0' / 'notes.txt').touch()
    (root / 'class_1' / 'Thumbs.db').touch()
    (root / 'class_1' / '.hidden.png').touch()
    hidden = root / '.ipynb_checkpoints'
    hidden.mkdir()
    (hidden / 'a.png').touch()
    inner = root / 'class_2' / '.ipynb_checkpoints'
    inner.mkdir()
    (inner / '000-checkpoint.png').touch()
    (root / 'class_2' / '000.png').rename(root / 'class_2' / 'UP.PNG')
    parts = split(root)
    assert sum(map(len, parts.values())) == 30
    assert len(warnings) == 1
    assert '2 files' in warnings[0]
    assert 'class_0/notes.txt, class_1/Thumbs.db' in warnings[0]


def test_folders_beside_train_are_reported(
    tiny_image_folder, warnings
) -> None:
    root = tiny_image_folder(splits=('train', 'test', 'labels'))
    ImageFolder(str(root), 'train')
    assert 'not used: labels' in warnings[0]


def test_empty_class(tiny_image_folder, warnings) -> None:
    root = tiny_image_folder()
    (root / 'class_9').mkdir()
    with pytest.raises(ValueError, match='no image of class class_9 .*jpg'):
        ImageFolder(str(root))
    root = tiny_image_folder(splits=PARTS, name='parts')
    for path in (root / 'test' / 'class_1').iterdir():
        path.unlink()
    data = ImageFolder(str(root), 'test')
    assert set(data.get_gt_labels()) == {0, 2}
    assert 'no image of class class_1' in warnings[0]
    (root / 'test' / 'class_7').mkdir()
    with pytest.raises(ValueError, match='not in train/: class_7'):
        ImageFolder(str(root), 'test')


@pytest.mark.parametrize('part', ['val', 'test'])
def test_part_without_images(tiny_image_folder, part) -> None:
    root = tiny_image_folder(per_class=8, splits=('train', part))
    for path in (root / part).rglob('*.png'):
        path.rename(root / part / f'{path.parent.name}_{path.name}')
    with pytest.raises(ValueError, match=f'{part}. holds no image in a class'):
        ImageFolder(str(root), part)
    for path in (root / part).glob('*.png'):
        path.unlink()
    for path in (root / part).iterdir():
        path.rmdir()
    with pytest.raises(ValueError, match=f'to have {part} drawn from train/'):
        ImageFolder(str(root), part)
    (root / part).rmdir()
    assert len(ImageFolder(str(root), part)) > 0


def test_too_few_images_or_classes(tiny_image_folder) -> None:
    root = tiny_image_folder(per_class=2)
    with pytest.raises(ValueError, match="'class_0' has 2 images, too few"):
        ImageFolder(str(root))
    root = tiny_image_folder(num_classes=1, name='one')
    with pytest.raises(ValueError, match="two class folders, found only 'cl"):
        ImageFolder(str(root))
    with pytest.raises(ValueError, match='two class folders, found none'):
        ImageFolder(str(root / 'class_0'))
    root = tiny_image_folder(name='wrapper/inside')
    with pytest.raises(ValueError, match="'inside'; if its sub-folders are"):
        ImageFolder(str(root.parent))


def test_bad_arguments(tiny_image_folder, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'.*nowhere' does not"):
        ImageFolder(str(tmp_path / 'nowhere'))
    root = str(tiny_image_folder())
    with pytest.raises(ValueError, match="split must be .*'dev'"):
        ImageFolder(root, 'dev')
    for ratio in ((0.7, 0.3), (0.8, 0, 0.2), (0.7, 0.1, 0.1)):
        with pytest.raises(ValueError, match='three positive numbers'):
            ImageFolder(root, split_ratio=ratio)
    with pytest.raises(ValueError, match='takes no ann_file'):
        ImageFolder(root, ann_file='list.txt')
