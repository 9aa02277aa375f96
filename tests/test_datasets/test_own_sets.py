"""Grocery Store, Stanford Dogs, NABirds and the names of ImageNet."""

from collections import Counter

import pytest

from lore_mm.datasets import GroceryStore, ImageNet1k, NABirds, StanfordDogs


def test_grocery_levels(published) -> None:
    root = str(published('grocery'))
    fine = GroceryStore(root, 'test')
    assert fine.CLASSES == ('Oatly Oat Milk', 'Soya Milk')
    assert fine.get_gt_labels().tolist() == [0, 0, 1, 1]
    coarse = GroceryStore(root, 'test', level='coarse')
    assert coarse.CLASSES == ('Milk',)
    with pytest.raises(ValueError, match="level must be .*got 'all'"):
        GroceryStore(root, level='all')


@pytest.mark.parametrize(
    'line,said',
    [
        ('a.jpg, 36', "line 1: expected 'path, id, id', got 'a.jpg, 36'"),
        ('a.jpg, 36, milk', 'line 1: expected'),
        ('a.jpg, 77, 2', "class id 77 has no name in 'classes.csv'"),
    ],
)
def test_grocery_malformed(published, line, said) -> None:
    root = published('grocery')
    (root / 'dataset' / 'val.txt').write_text(line)
    with pytest.raises(ValueError, match=said):
        GroceryStore(str(root))


def test_real_grocery(real_data) -> None:
    root = str(real_data / 'GroceryStoreDataset')
    sizes = [len(GroceryStore(root, s)) for s in ('train', 'val', 'test')]
    assert sizes == [319, 49, 300]
    assert len(GroceryStore(root).CLASSES) == 12


def test_dogs_lists_in_a_folder(published) -> None:
    root = published('dogs')
    (root / 'lists').mkdir()
    for file in root.glob('*.mat'):
        file.rename(root / 'lists' / file.name)
    train = StanfordDogs(str(root))
    assert train.CLASSES == ('Chihuahua', 'Japanese spaniel')
    assert train.get_gt_labels().tolist() == [0] * 5 + [1] * 5
    with pytest.raises(ValueError, match="split must be .*got 'val'"):
        StanfordDogs(str(root), 'val')
    with pytest.raises(FileNotFoundError, match=r'extract images\.tar'):
        StanfordDogs(str(root / 'lists'))


def test_nabirds_ids_are_no_numbers(published) -> None:
    root = published('nabirds')
    train = NABirds(str(root))
    assert train.CLASSES == ('Common Eider', 'Oak Titmouse', 'Jay (Adult)')
    assert Counter(train.get_gt_labels().tolist()) == {0: 5, 1: 5, 2: 5}
    chosen = NABirds(str(root), 'test', classes=[817])
    assert len(chosen) == 2
    with pytest.raises(FileNotFoundError, match='must be the nabirds folder'):
        NABirds(str(root / 'images'))
    (root / 'classes.txt').write_text('first Birds\n')
    with pytest.raises(ValueError, match="expected '<id> <value>', got"):
        NABirds(str(root))


def test_imagenet_names_differ() -> None:
    names = ImageNet1k.METAINFO['classes']
    assert len(set(names)) == 1000
    assert names[:2] == ('tench', 'goldfish')
