import numpy as np
import pytest

from lore_mm.visualization.attention_row import MapRow, draw_map_rows

IMAGE = np.full((32, 64, 3), 128, np.uint8)


def brightness(picture, column, width=128, height=64):
    """Mean of one cell of the first row, below the line of text."""
    left = column * (width + 6)
    return picture[-height - 6 : -6, left : left + width].mean()


def test_one_scale_for_a_row():
    weak, strong = np.full((2, 4), 0.1), np.full((2, 4), 0.4)
    row = MapRow(IMAGE, {'B-B': weak, 'LORE': strong})
    picture = draw_map_rows([row], height=64)
    assert picture.dtype == np.uint8
    assert picture.shape[1] == 3 * 128 + 2 * 6
    assert brightness(picture, 1) < brightness(picture, 2)
    alone = draw_map_rows([MapRow(IMAGE, {'B-B': weak})], height=64)
    assert brightness(alone, 1) > brightness(picture, 1)


def test_the_bright_patch_is_where_the_weight_is():
    grid = np.zeros((2, 4))
    grid[1, 3] = 1
    picture = draw_map_rows([MapRow(IMAGE, {'B-B': grid})], height=64)
    cell = picture[-70:-6, 134:262].mean(-1)
    y, x = np.unravel_index(cell.argmax(), cell.shape)
    assert y >= 32
    assert x >= 96


def test_query_is_marked_and_long_titles_are_cut():
    grid = np.ones((2, 4))
    plain = MapRow(IMAGE, {'B-B': grid}, title='a name ' * 20)
    marked = plain._replace(query=(0, 1))
    first, second = (draw_map_rows([r], 64) for r in (plain, marked))
    assert first.shape == second.shape
    assert (first != second).any()


def test_rows_below_each_other():
    row = MapRow(IMAGE, {'B-B': np.ones((2, 4))})
    one, two = draw_map_rows([row], 64), draw_map_rows([row, row], 64)
    assert two.shape[0] == 2 * one.shape[0]
    np.testing.assert_array_equal(two[: len(one)], one)


def test_errors():
    with pytest.raises(ValueError, match='at least one row'):
        draw_map_rows([])
    with pytest.raises(ValueError, match='at least 32 pixels, got 8'):
        draw_map_rows([MapRow(IMAGE, {'B-B': np.ones((2, 4))})], 8)
