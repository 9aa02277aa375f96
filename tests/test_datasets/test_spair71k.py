"""SPair71k on made-up files in the published layout."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from lore_mm.datasets import SPair71k, spair71k

PAIRS = [
    ('000001', 'a', 'b', 'cat'),
    ('000002', 'c', 'd', 'bird'),
    ('000003', 'b', 'a', 'cat'),
]
SIZES = dict(a=(50, 40), b=(30, 60), c=(20, 20), d=(64, 32))


def annotation(source, target, category) -> dict:
    return dict(
        src_imname=f'{source}.jpg',
        trg_imname=f'{target}.jpg',
        src_imsize=[*SIZES[source], 3],
        trg_imsize=[*SIZES[target], 3],
        src_bndbox=[1, 2, 15, 16],
        trg_bndbox=[2, 3, 18, 19],
        src_kps=[[1, 2], [SIZES[source][0], 4]],
        trg_kps=[[5, 6], [7, 8]],
        category=category,
        mirror=0,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / 'SPair-71k'
    (root / 'Layout/large').mkdir(parents=True)
    (root / 'PairAnnotation/test').mkdir(parents=True)
    names = []
    for number, source, target, category in PAIRS:
        name = f'{number}-{source}-{target}:{category}'
        names.append(name)
        path = root / 'PairAnnotation/test' / f'{name}.json'
        path.write_text(json.dumps(annotation(source, target, category)))
        folder = root / 'JPEGImages' / category
        folder.mkdir(parents=True, exist_ok=True)
        for image in (source, target):
            Image.new('RGB', SIZES[image]).save(folder / f'{image}.jpg')
    (root / 'Layout/large/test.txt').write_text('\n'.join(names) + '\n')
    return root


@pytest.fixture
def make(root, tmp_path):
    """The data set, with its index in the test's own folder."""

    def build(**kwargs) -> SPair71k:
        kwargs.setdefault('index_dir', str(tmp_path / 'cache'))
        return SPair71k(str(root), **kwargs)

    return build


def change(root: Path, number: int, **values) -> Path:
    (path,) = root.glob(f'PairAnnotation/test/*{number}-*.json')
    content = json.loads(path.read_text())
    content.update(values)
    path.write_text(json.dumps(content))
    return path


def test_pairs_are_ordered_by_category(make, root) -> None:
    dataset = make()
    assert len(dataset) == 3
    assert len(dataset.metainfo['classes']) == 18
    pair = dataset[0]
    sample = pair['data_samples']
    assert sample.category == 'bird'
    assert pair['target'].path == str(root / 'JPEGImages/bird/d.jpg')
    assert pair['target'].size == (64, 32)
    # A point may lie on the border.
    assert sample.source_points.tolist() == [[1, 2], [20, 4]]
    assert sample.target_box.tolist() == [2, 3, 18, 19]
    paths = [Path(dataset[i]['source'].path).stem for i in range(3)]
    assert paths == ['c', 'a', 'b']


def test_categories(make) -> None:
    assert len(make(categories=['cat'])) == 2
    with pytest.raises(ValueError, match="'dgo' has no pair.*Known: 'bird'"):
        make(categories=['dgo'])


def test_annotations_are_read_once(make, monkeypatch) -> None:
    first = [make()[i]['data_samples'] for i in range(3)]
    read = []
    monkeypatch.setattr(
        spair71k, '_read_annotation', lambda path: read.append(path)
    )
    again = [make()[i]['data_samples'] for i in range(3)]
    assert not read
    for one, other in zip(first, again, strict=True):
        assert one.source_points.tolist() == other.source_points.tolist()
        assert one.category == other.category


def test_a_changed_annotation_is_seen(make, root) -> None:
    make()
    path = change(root, 1, trg_kps=[[9, 9], [1, 1]])
    os.utime(path, (1, 1))
    found = make(categories=['cat'])[0]['data_samples']
    assert found.target_points.tolist() == [[9, 9], [1, 1]]


def test_a_damaged_index_is_made_anew(make, tmp_path) -> None:
    make()
    (index,) = (tmp_path / 'cache').rglob('*.json')
    index.write_text('{')
    assert len(make()) == 3
    assert json.loads(index.read_text())['pairs']


def test_a_folder_that_cannot_be_written(make, tmp_path) -> None:
    (tmp_path / 'file').touch()
    assert len(make(index_dir=str(tmp_path / 'file'))) == 3


def test_the_cache_of_the_environment(root, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'elsewhere'))
    SPair71k(str(root))
    assert list((tmp_path / 'elsewhere/spair71k').glob('*.json'))


def test_colons_may_be_replaced(make, root) -> None:
    for path in root.glob('PairAnnotation/test/*.json'):
        path.rename(path.with_name(path.name.replace(':', '_')))
    assert len(make()) == 3


@pytest.mark.parametrize(
    'values,message',
    [
        (dict(src_kps=[], trg_kps=[]), 'has no key points for the source'),
        (dict(src_kps=[[1, 2]]), '1 key points in the source .* 2 in the'),
        (dict(src_kps=[[51, 2], [1, 1]]), r'\(51, 2\) is outside the source'),
        (dict(trg_kps=[[1, 61], [1, 1]]), r'\(1, 61\) is outside the target'),
        (dict(trg_kps=[[1], [1]]), 'must be pairs of numbers'),
        (dict(trg_kps='x'), 'must be pairs of numbers'),
        (dict(trg_kps=None), 'must be pairs of numbers'),
        (dict(trg_bndbox=[1, 2, 3]), 'box must be four numbers'),
        (dict(trg_bndbox=[5, 5, 5, 5]), 'has no extent'),
        (dict(src_imsize=None), 'src_imsize must be width and height'),
        (dict(src_imname=7), 'src_imname must be a name, got 7'),
        (dict(category='dgo'), "category 'dgo' in .* is unknown. Did you"),
    ],
)
def test_bad_annotations(make, root, values, message) -> None:
    path = change(root, 1, **values)
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert path.name in str(error.value)


def test_malformed_json(make, root) -> None:
    path = change(root, 1)
    path.write_text(path.read_text()[:-10])
    with pytest.raises(ValueError, match='000001.*is not a JSON file'):
        make()
    path.write_text('[1]')
    with pytest.raises(ValueError, match='000001.*must hold a JSON object'):
        make()
    path.write_text('{"category": "cat"}')
    with pytest.raises(ValueError, match='000001.*has no src_imname, trg_im'):
        make()


def test_missing_files(make, root) -> None:
    (root / 'JPEGImages/cat/b.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='cat/b.jpg.*named in .*0000'):
        make()
    next(root.glob('PairAnnotation/test/000003*')).unlink()
    with pytest.raises(
        FileNotFoundError, match=r'000003-b-a:cat.json.*listed in .*test.txt'
    ):
        make()
    with pytest.raises(FileNotFoundError, match='Layout/small/test.txt'):
        make(size='small')
    with pytest.raises(FileNotFoundError, match='Layout/large/val.txt'):
        make(split='val')


def test_bad_arguments(make) -> None:
    with pytest.raises(ValueError, match="split must be one of .*'trn'"):
        make(split='trn')
    with pytest.raises(ValueError, match="size must be one of .*'big'"):
        make(size='big')
