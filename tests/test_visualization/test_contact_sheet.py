"""Pictures of what was found."""

import numpy as np
import pytest
from PIL import Image

from lore_mm.visualization import (
    Tile,
    draw_contact_sheet,
    save_contact_sheet,
)

GREEN, RED, GREY, BLUE = (
    (30, 150, 60),
    (205, 40, 40),
    (190, 190, 190),
    (60, 90, 200),
)


@pytest.fixture
def files(tmp_path):
    paths = []
    for i, size in enumerate([(40, 20), (20, 40), (200, 100)]):
        paths.append(tmp_path / f'{i}.png')
        Image.new('RGB', size, (10, 20, 30 + i)).save(paths[-1])
    return paths


def test_borders_tell_what_is_right(files):
    a, b, c = files
    found = [
        [Tile(b, 0.9, True), Tile(c, 0.5, False), Tile(a, 0.1)],
        [Tile(c, 1.0)],
    ]
    sheet = draw_contact_sheet([a, b], found, tile_size=32)
    pixels = np.asarray(sheet)
    step = 32 + 8 + 6
    row = [tuple(pixels[8, 6 + step * i + 1].tolist()) for i in range(4)]
    assert row == [BLUE, GREEN, RED, GREY]
    # the query, whole and in the middle of its square
    assert tuple(pixels[6 + 4 + 16, 6 + 4 + 16].tolist()) == (10, 20, 30)
    assert tuple(pixels[6 + 4 + 2, 6 + 4 + 16].tolist()) == (255, 255, 255)
    # the second row has one picture, then nothing
    lower = pixels[sheet.height // 2 + 6 :, 6 + 2 * step :]
    assert (lower == 255).all()
    # scores are written
    text = pixels[6 + 40 : 6 + 40 + 12, 6 + step : 6 + 2 * step]
    assert (text < 100).any()


def test_bad_arguments(files):
    with pytest.raises(ValueError, match='got 1 for 2 queries'):
        draw_contact_sheet(files[:2], [[]])
    with pytest.raises(ValueError, match='got 0 for 0 queries'):
        draw_contact_sheet([], [])
    with pytest.raises(ValueError, match='tile_size must be .* got 3'):
        draw_contact_sheet(files[:1], [[]], tile_size=3)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        draw_contact_sheet(files[:1], [[Tile('nowhere.png', 1.0)]])


@pytest.mark.parametrize('name', ['new/sheet.png', 'sheet.JPG'])
def test_saved_whole_or_not_at_all(files, tmp_path, name):
    path, found = tmp_path / 'out' / name, [[Tile(files[1], 0.5, True)]]
    save_contact_sheet(path, files[:1], found)
    with Image.open(path) as img:
        assert img.size == draw_contact_sheet(files[:1], found).size
    before = path.read_bytes()
    with pytest.raises(FileNotFoundError, match='nowhere'):
        save_contact_sheet(path, files[:1], [[Tile('nowhere.png', 0.5)]])
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_sheet_that_cannot_be_written(files, tmp_path):
    found = [[Tile(files[1], 0.5)]]
    with pytest.raises(ValueError, match=r"must end in \.png.* got '\.txt'"):
        save_contact_sheet(tmp_path / 'a.txt', files[:1], found)
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(ValueError, match='cannot be written .*another file'):
        save_contact_sheet(tmp_path / 'file/a.png', files[:1], found)
