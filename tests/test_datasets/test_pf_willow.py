"""PFWillow from .mat files and from the CSV file of pairs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from lore_mm.datasets import PFWillow

POINTS = np.arange(20).reshape(2, 10) + 0.25
NAMES = ['car(S)/one', 'car(S)/two', 'duck(S)/one']


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / 'PF-dataset-WILLOW'
    for i, name in enumerate(NAMES):
        path = root / f'{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (40 + i, 30)).save(path)
        savemat(path.with_suffix('.mat'), dict(pts_coord=POINTS + i))
    return root


def write_csv(root: Path, rows) -> None:
    numbers = range(1, 11)
    columns = [f'{a}{s}{i}' for s in 'AB' for a in 'XY' for i in numbers]
    lines = [','.join(['imageA', 'imageB', *columns])]
    for one, other, points in rows:
        values = [f'{v:g}' for v in np.ravel(points)]
        lines.append(','.join([one, other, *values]))
    (root / 'pairs.csv').write_text('\n'.join(lines) + '\n')


def test_all_ordered_pairs_of_a_sub_class(root) -> None:
    dataset = PFWillow(str(root))
    assert len(dataset) == 2
    assert dataset.metainfo['classes'] == ('car(S)',)
    pair = dataset[1]
    assert pair['source'].path == str(root / 'car(S)/two.png')
    sample = pair['data_samples']
    assert sample.source_points.tolist() == (POINTS + 1).T.tolist()
    assert sample.target_points.tolist() == POINTS.T.tolist()
    # The box of the target's key points.
    assert sample.target_box.tolist() == [0.25, 10.25, 9.25, 19.25]


@pytest.mark.parametrize('prefix', ['PF-dataset-WILLOW/', ''])
def test_pairs_of_a_file(root, prefix) -> None:
    one, two = (f'{prefix}{name}.png' for name in NAMES[:2])
    write_csv(root, [(one, two, [POINTS, POINTS + 2])])
    dataset = PFWillow(str(root), pairs_file='pairs.csv')
    sample = dataset[0]['data_samples']
    assert sample.category == 'car(S)'
    assert sample.source_points.tolist() == POINTS.T.tolist()
    assert sample.target_points.tolist() == (POINTS + 2).T.tolist()


def test_the_folder_may_be_renamed(root) -> None:
    name = f'PF-dataset-WILLOW/{NAMES[0]}.png'
    write_csv(root, [(name, name, [POINTS, POINTS])])
    moved = root.rename(root.with_name('willow'))
    dataset = PFWillow(str(moved), pairs_file='pairs.csv')
    assert dataset[0]['source'].path == str(moved / f'{NAMES[0]}.png')


def test_bad_csv(root) -> None:
    one, two = (f'{name}.png' for name in NAMES[:2])
    write_csv(root, [(one, two, [POINTS, POINTS + 21.5])])
    with pytest.raises(ValueError, match=r"pairs.csv': key point .* outside"):
        PFWillow(str(root), pairs_file='pairs.csv')
    write_csv(root, [(one, 'car(S)/gone.png', [POINTS, POINTS])])
    with pytest.raises(FileNotFoundError, match='gone.png.*pairs.csv'):
        PFWillow(str(root), pairs_file='pairs.csv')
    with pytest.raises(FileNotFoundError, match='other.csv'):
        PFWillow(str(root), pairs_file='other.csv')


def test_bad_mat_files(root) -> None:
    path = root / 'car(S)/two.mat'
    for content in (b'', b'no mat file at all', path.read_bytes()[:150]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match='two.mat') as error:
            PFWillow(str(root))
        assert 'pts_coord' in str(error.value) or 'no .mat' in str(error.value)
    savemat(path, dict(pts_coord=POINTS.T))
    with pytest.raises(ValueError, match=r'two.mat.*must be 2 x n.*\(10, 2\)'):
        PFWillow(str(root))
    savemat(path, dict(points=POINTS))
    with pytest.raises(ValueError, match='two.mat.*but is missing'):
        PFWillow(str(root))


def test_missing_image_and_folder(root) -> None:
    (root / 'car(S)/two.png').unlink()
    with pytest.raises(FileNotFoundError, match='two.png.*named in .*two.mat'):
        PFWillow(str(root))
    with pytest.raises(ValueError, match='no sub-folder with .mat files'):
        PFWillow(str(root / 'car(S)'))


def test_real_files_agree(real_data) -> None:
    """The CSV file and the .mat files say the same, but for rounding."""
    root = str(real_data / 'PF-dataset-WILLOW')
    listed = PFWillow(root, pairs_file='test_pairs_rebuilt.csv')
    found = PFWillow(root)
    assert len(listed) == len(found) == 360

    def table(dataset) -> dict:
        samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
        return {
            (s.source_path, s.target_path): np.hstack(
                [s.source_points, s.target_points]
            )
            for s in samples
        }

    ours, theirs = table(found), table(listed)
    assert ours.keys() == theirs.keys()
    for key, points in ours.items():
        np.testing.assert_allclose(points, theirs[key], atol=0.0051)
