"""Lines between two images."""

import numpy as np
import pytest

from lore_mm.visualization import draw_matches
from lore_mm.visualization.match_lines import (
    CORRECT,
    NOT_MUTUAL,
    UNKNOWN,
    WRONG,
)

SOURCE = np.zeros((50, 40, 3), np.uint8)
TARGET = np.full((100, 300, 3), 40, np.uint8)
POINTS = [[10, 10], [30, 40]]
MATCHES = [[20, 20], [280, 90]]


def colours(picture):
    return {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}


def test_size_and_places():
    picture = draw_matches(SOURCE, TARGET, POINTS, MATCHES, height=200)
    # 40 x 50 becomes 160 x 200, 300 x 100 becomes 600 x 200.
    assert picture.shape == (200, 160 + 8 + 600, 3)
    assert picture.dtype == np.uint8
    assert (picture[150, 164] == 255).all()  # the gap
    for x, y in [(40, 40), (120, 160)]:
        assert tuple(picture[y, x]) == UNKNOWN
    for x, y in [(168 + 40, 40), (168 + 560, 180)]:
        assert tuple(picture[y, x]) == UNKNOWN
    # Half way of a line.
    assert tuple(picture[40, 124]) == UNKNOWN


@pytest.mark.parametrize(
    'given,wanted,absent',
    [
        (dict(), {UNKNOWN}, {CORRECT, WRONG, NOT_MUTUAL}),
        (dict(mutual=[True, False]), {UNKNOWN, NOT_MUTUAL}, {CORRECT, WRONG}),
        (dict(correct=[True, False]), {CORRECT, WRONG}, {UNKNOWN}),
        (dict(correct=[True, True]), {CORRECT}, {WRONG, UNKNOWN}),
        (
            dict(correct=[False, True], mutual=[False, False]),
            {CORRECT, WRONG},
            {NOT_MUTUAL},
        ),
    ],
)
def test_colours(given, wanted, absent):
    found = colours(draw_matches(SOURCE, TARGET, POINTS, MATCHES, **given))
    assert wanted <= found
    assert not absent & found


def test_the_truth_is_marked():
    truth = [[20, 20], [150, 50]]
    picture = draw_matches(
        SOURCE, TARGET, POINTS, MATCHES, correct=[True, False], truth=truth
    )
    bare = draw_matches(SOURCE, TARGET, POINTS, MATCHES, correct=[True, False])
    x = 320 + 8 + 150 * 4
    there = (slice(190, 211), slice(x - 10, x + 11))
    assert (picture[there] != bare[there]).any()


def test_the_images_are_left_alone():
    source = SOURCE.copy()
    draw_matches(source, TARGET, POINTS, MATCHES)
    assert (source == SOURCE).all()


@pytest.mark.parametrize('name', ['correct', 'mutual', 'truth'])
def test_numbers_must_agree(name):
    with pytest.raises(ValueError, match=f'{name} must have one entry .* 2 '):
        draw_matches(SOURCE, TARGET, POINTS, MATCHES, **{name: [[1, 2]]})
    with pytest.raises(ValueError, match='target_points must have one'):
        draw_matches(SOURCE, TARGET, POINTS, MATCHES[:1])
