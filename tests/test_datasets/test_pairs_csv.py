"""PairsCSV, and what all sets of pairs check."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image

from lore_mm.datasets import PairsCSV
from lore_mm.registry import DATASETS

HEAD = 'source,target,source_x,source_y,target_x,target_y'
LINES = [
    'a.png,b.png,1,2,3,4',
    'b.png,a.png,5,6,7,8',
    'a.png,b.png,60,40,30,0',
    'b.png,a.png,5,6,9,8',
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Image.new('RGB', (60, 40)).save(tmp_path / 'a.png')
    Image.new('RGB', (30, 50)).save(tmp_path / 'b.png')
    return tmp_path


def write(root: Path, lines, head=HEAD) -> Path:
    path = root / 'pairs.csv'
    path.write_text('\n'.join([head, *lines]) + '\n')
    return path


def test_lines_of_one_pair_are_gathered(root) -> None:
    write(root, LINES)
    dataset = PairsCSV(str(root))
    assert len(dataset) == 2
    assert dataset.metainfo['classes'] == ('all',)
    pair = dataset[0]
    assert pair['source'].path == str(root / 'a.png')
    assert pair['source'].size == (60, 40)
    assert pair['target'].size == (30, 50)
    sample = pair['data_samples']
    assert sample.source_points.tolist() == [[1, 2], [60, 40]]
    assert sample.target_points.tolist() == [[3, 4], [30, 0]]
    # The box of the target's points, where none is given.
    assert sample.target_box.tolist() == [3, 0, 30, 4]


def test_box_category_and_order(root) -> None:
    write(
        root,
        [
            'a.png,b.png,1,2,3,4,dog,0,1,20,30',
            'b.png,a.png,5,6,7,8,cat,,,,',
            'b.png,a.png,7,6,9,9,cat,,,,',
        ],
        f'{HEAD},category,x1,y1,x2,y2',
    )
    dataset = PairsCSV(str(root))
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    samples = [dataset[i]['data_samples'] for i in range(2)]
    assert [s.category for s in samples] == ['cat', 'dog']
    assert samples[0].target_box.tolist() == [7, 8, 9, 9]
    assert samples[1].target_box.tolist() == [0, 1, 20, 30]
    chosen = PairsCSV(str(root), categories=['dog'])
    assert len(chosen) == 1
    assert len(PairsCSV(str(root), indices=1)) == 1


def test_objects_of_the_same_images_are_pairs_of_their_own(root) -> None:
    write(
        root,
        [
            'a.png,b.png,1,2,3,4,dog,0,1,20,30',
            'a.png,b.png,5,6,7,8,cat,0,1,20,30',
            'a.png,b.png,9,8,7,6,dog,0,1,20.0,30',
            'a.png,b.png,3,3,5,5,dog,2,2,8,8',
        ],
        f'{HEAD},category,x1,y1,x2,y2',
    )
    samples = [each['data_samples'] for each in PairsCSV(str(root))]
    assert [
        (s.category, s.target_box.tolist(), s.target_points.tolist())
        for s in samples
    ] == [
        ('cat', [0, 1, 20, 30], [[7, 8]]),
        ('dog', [0, 1, 20, 30], [[3, 4], [7, 6]]),
        ('dog', [2, 2, 8, 8], [[5, 5]]),
    ]


def test_images_are_read_when_they_are_needed(root) -> None:
    write(root, LINES)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(
            dict(
                type='lore_mm.PairsCSV',
                data_root=str(root),
                pipeline=[
                    dict(type='lore_mm.LoadRGBImage'),
                    dict(type='Resize', scale=(30, 80), backend='pillow'),
                    dict(type='PackInputs'),
                ],
            )
        )
    pair = dataset[0]
    loaded = pickle.loads(pickle.dumps(pair['source'])).load()
    assert loaded.inputs.shape == (3, 80, 30)
    assert loaded.size == (60, 40)
    assert loaded.scale == (0.5, 2.0)


def test_turned_image(root) -> None:
    """The size is that of the image as it is shown."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (60, 40)).save(root / 'a.jpg', exif=exif)
    write(root, ['a.jpg,b.png,39,59,1,1', 'a.jpg,b.png,1,1,9,9'])
    assert PairsCSV(str(root))[0]['source'].size == (40, 60)


@pytest.mark.parametrize(
    'lines,message',
    [
        (['a.png,b.png,61,2,3,4'], r'\(61, 2\) is outside the source .*60 x'),
        (['a.png,b.png,1,2,3,-1'], r'\(3, -1\) is outside the target .*30 x'),
        (['a.png,b.png,nan,2,3,4'], r'\(nan, 2\) is outside the source'),
        (['a.png,b.png,1,2,3,4'], 'box .* has no extent; .* give the box'),
        (['a.png,b.png,1,x,3,4'], "line 2: source_y must be a number.*'x'"),
        (['a.png,b.png,1,2,3'], 'line 2: expected 6 cells'),
        (['a.png,b.png,1,2,3,4,5'], 'line 2: expected 6 cells'),
        ([], "pairs.csv' has no rows"),
    ],
)
def test_bad_lines(root, lines, message) -> None:
    write(root, lines)
    with pytest.raises(ValueError, match=message) as error:
        PairsCSV(str(root))
    assert 'pairs.csv' in str(error.value)


def test_missing_and_broken_images(root) -> None:
    path = write(root, ['a.png,gone.png,1,2,3,4'])
    message = f"gone.png' does not exist; it is named in '{path}'"
    with pytest.raises(FileNotFoundError, match=message):
        PairsCSV(str(root))
    (root / 'gone.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match="gone.png' cannot be read"):
        PairsCSV(str(root))


def test_bad_files_and_arguments(root) -> None:
    with pytest.raises(FileNotFoundError, match="pairs.csv' does not exist"):
        PairsCSV(str(root))
    write(root, LINES, HEAD.replace('target_y', 'y'))
    with pytest.raises(ValueError, match='has no column target_y'):
        PairsCSV(str(root))
    (root / 'pairs.csv').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='is not a CSV file'):
        PairsCSV(str(root))
    write(
        root,
        ['a.png,b.png,1,2,3,4,1,2,3,'],
        f'{HEAD},x1,y1,x2,y2',
    )
    with pytest.raises(ValueError, match='line 2: a box needs all of'):
        PairsCSV(str(root))
    write(root, LINES)
    with pytest.raises(ValueError, match="category 'dog' has no pair in"):
        PairsCSV(str(root), categories=['dog'])
    with pytest.raises(ValueError, match='categories must be a list'):
        PairsCSV(str(root), categories='all')
    with pytest.raises(FileNotFoundError, match='must be the folder'):
        PairsCSV(str(root / 'gone'))


def test_pipeline_without_packing(root) -> None:
    write(root, LINES)
    dataset = PairsCSV(str(root), pipeline=[lambda results: results])
    with pytest.raises(ValueError, match='must end in PackInputs'):
        dataset[0]['source'].load()


def test_points_are_float64(root) -> None:
    write(root, LINES)
    sample = PairsCSV(str(root))[0]['data_samples']
    assert sample.source_points.dtype == np.float64
