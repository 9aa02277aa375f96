"""CUBParts on a made-up set, and on real annotations."""

from pathlib import Path

import pytest
from PIL import Image

from lore_mm.datasets import CUBParts

# image id -> (species, is_training_image, visible parts)
IMAGES = {
    3: (7, 0, {1, 2, 3}),
    5: (7, 0, {2, 3, 4}),
    6: (7, 0, {1, 4}),
    8: (7, 1, {1, 2, 3, 4}),
    9: (12, 0, {1, 2}),
}
TABLES = (
    'images.txt',
    'image_class_labels.txt',
    'train_test_split.txt',
    'classes.txt',
    'bounding_boxes.txt',
    'parts/part_locs.txt',
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / 'images/a b').mkdir(parents=True)
    (tmp_path / 'parts').mkdir()
    lines: dict[str, list] = {name: [] for name in TABLES}
    for image, (species, train, visible) in IMAGES.items():
        name = f'a b/{image}.jpg'
        Image.new('RGB', (50, 40)).save(tmp_path / 'images' / name)
        lines['images.txt'].append(f'{image} {name}')
        lines['image_class_labels.txt'].append(f'{image} {species}')
        lines['train_test_split.txt'].append(f'{image} {train}')
        lines['bounding_boxes.txt'].append(f'{image} 1.0 2.0 30.0 {image}.0')
        for part in range(1, 5):
            seen = part in visible
            where = f'{10.0 * part} {image}.0' if seen else '0.0 0.0'
            lines['parts/part_locs.txt'].append(
                f'{image} {part} {where} {int(seen)}'
            )
    lines['classes.txt'] = ['7 007.Wren', '12 012.Owl']
    for name, rows in lines.items():
        (tmp_path / name).write_text('\n'.join(rows) + '\n')
    return tmp_path


def ids(dataset) -> list[tuple[int, int]]:
    pairs = [dataset[i] for i in range(len(dataset))]
    return [
        tuple(int(Path(p[side].path).stem) for side in ('source', 'target'))
        for p in pairs
    ]


def write(root: Path, *rows: str) -> None:
    lines = ['source_image_id,target_image_id,class_id', *rows]
    (root / 'pairs.csv').write_text('\n'.join(lines) + '\n')


def test_pairs_of_a_file(root) -> None:
    write(root, '3,5,7', '8,3,7')
    dataset = CUBParts(str(root), pairs_file='pairs.csv')
    assert ids(dataset) == [(3, 5), (8, 3)]
    assert dataset.metainfo['classes'] == ('007.Wren',)
    sample = dataset[0]['data_samples']
    # Parts 2 and 3 are visible in both.
    assert sample.source_points.tolist() == [[20, 3], [30, 3]]
    assert sample.target_points.tolist() == [[20, 5], [30, 5]]
    # x, y, width, height of the target become corners.
    assert sample.target_box.tolist() == [1, 2, 31, 7]


def test_pairs_are_drawn(root) -> None:
    assert ids(CUBParts(str(root), min_parts=2)) == [(3, 5), (5, 3)]
    every = ids(CUBParts(str(root), min_parts=1))
    assert len(every) == 6
    assert set(every) <= {(a, b) for a in (3, 5, 6) for b in (3, 5, 6)}
    draws = [
        ids(CUBParts(str(root), min_parts=1, pairs_per_class=2, seed=seed))
        for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert all(len(draw) == 2 for draw in draws)


def test_no_pair_of_that_many_parts(root) -> None:
    with pytest.raises(ValueError, match='has no pair that fits the choice'):
        CUBParts(str(root), split='train')


@pytest.mark.parametrize(
    'rows,message',
    [
        (['3,4'], 'line 2: expected 3 cells'),
        (['3,4,7'], 'line 2: image id 4 is not in images.txt'),
        (['3,x,7'], "line 2: target_image_id must be a number, got 'x'"),
        (['3,5,7', '3,9,7'], 'line 3: images 3 and 9 show different species'),
    ],
)
def test_bad_pairs(root, rows, message) -> None:
    write(root, *rows)
    with pytest.raises(ValueError, match=f"pairs.csv', {message}"):
        CUBParts(str(root), pairs_file='pairs.csv')


def test_no_part_in_common(root) -> None:
    path = root / 'parts/part_locs.txt'
    path.write_text(path.read_text().replace('40.0 6.0 1', '0.0 0.0 0'))
    path.write_text(path.read_text().replace('10.0 6.0 1', '0.0 0.0 0'))
    write(root, '3,6,7')
    with pytest.raises(ValueError, match="pairs.csv' has no key points"):
        CUBParts(str(root), pairs_file='pairs.csv')


def test_malformed_tables(root) -> None:
    path = root / 'parts/part_locs.txt'
    text = path.read_text()
    path.write_text(text + '3 1 2.0\n')
    with pytest.raises(ValueError, match="locs.txt', line 21: expected an id"):
        CUBParts(str(root))
    path.write_text(text + '3 1 2.0 y 1\n')
    with pytest.raises(ValueError, match="line 21: 3 must be a number.*'y'"):
        CUBParts(str(root))
    path.write_text(text.replace('20.0 3.0 1', '51.0 3.0 1'))
    with pytest.raises(ValueError, match=r"locs.txt': key point \(51, 3\)"):
        CUBParts(str(root), min_parts=2)
    (root / 'bounding_boxes.txt').unlink()
    with pytest.raises(FileNotFoundError, match='must be the folder CUB'):
        CUBParts(str(root))


def test_bad_arguments(root) -> None:
    with pytest.raises(ValueError, match='min_parts must be >= 1, got 0'):
        CUBParts(str(root), min_parts=0)
    with pytest.raises(ValueError, match='split must be one of'):
        CUBParts(str(root), split='val')


def test_real_pairs(real_data) -> None:
    root = str(real_data / 'CUB_200_2011')
    dataset = CUBParts(root, pairs_file='pairs_homemade.csv')
    assert len(dataset) == 300
    assert len(dataset.metainfo['classes']) == 13
    for i in range(len(dataset)):
        assert len(dataset[i]['data_samples'].target_points) >= 6
    drawn = CUBParts(root, pairs_per_class=5)
    assert len(drawn) == 13 * 5
