"""PCK by hand: threshold, box, averages, and the two rows beside it."""

import numpy as np
import pytest
import torch

from lore_mm.evaluation.functional import (
    average_pck,
    category_pck,
    identity_points,
    oracle_points,
    pck,
)

BOX = [10, 20, 50, 120]  # 40 wide, 100 high: the threshold is 10 at .1


def test_threshold_is_inclusive_and_takes_the_longer_side():
    gt = np.full((4, 2), 60.0)
    pred = gt + [[10, 0], [0, 10], [6, 8], [6, 8.001]]
    found = pck(pred, gt, BOX, alpha=0.1)
    assert found.dtype == bool
    assert found.tolist() == [True, True, True, False]
    # The box on its side has the same longer side.
    assert pck(pred, gt, [20, 10, 120, 50]).tolist() == found.tolist()


def test_alpha_scales_the_threshold():
    gt, pred = np.zeros((1, 2)), np.array([[0.0, 12.0]])
    assert [bool(pck(pred, gt, BOX, a)[0]) for a in (0.05, 0.1, 0.15)] == [
        False,
        False,
        True,
    ]


def test_original_pixels_and_not_those_of_the_squashed_image():
    """One point of an image of 400 x 100 that a network saw as 224 x 224.

    It is 20 pixels off in x, that is 11.2 in the squashed image; the box is
    100 wide, 56 there. Measured with the scale of y it would be correct.
    """
    gt, box = np.array([[100.0, 50.0]]), np.array([50, 20, 150, 80.0])
    pred = gt + [20, 0]
    assert not pck(pred, gt, box, 0.1)[0]
    squash = np.array([224 / 400, 224 / 100])
    wrong_axis = 0.1 * 100 * squash[1]
    assert np.linalg.norm((pred - gt) * squash) <= wrong_axis


def test_tensors_and_lists_are_taken():
    gt = torch.tensor([[1.0, 2.0]])
    assert pck(gt, gt.tolist(), torch.tensor(BOX))[0]


def test_a_prediction_that_is_not_finite_is_wrong():
    gt = np.zeros((2, 2))
    assert not pck([[np.nan, 0], [np.inf, 0]], gt, BOX).any()


@pytest.mark.parametrize(
    'change,message',
    [
        (dict(pred=np.zeros((2, 2))), 'same number of points, got 2 and 1'),
        (dict(gt=np.zeros((2, 1))), r'gt must have the shape \(n, 2\)'),
        (dict(bbox=[0, 0, 1]), 'bbox must be four numbers'),
        (dict(bbox=[0, 0, np.nan, 1]), 'bbox must be four numbers'),
        (dict(bbox=[5, 5, 5, 5]), 'and an extent'),
        (dict(bbox=[5, 5, 1, 9]), 'x1 <= x2'),
        (dict(alpha=0), 'alpha must be positive, got 0'),
    ],
)
def test_bad_arguments(change, message):
    good = dict(pred=np.zeros((1, 2)), gt=np.zeros((1, 2)), bbox=BOX)
    with pytest.raises(ValueError, match=message):
        pck(**{**good, **change})


def test_three_averages():
    correct = [
        np.array([True, True]),  # cat: 2 of 2
        np.array([True, False, False, False]),  # cat: 1 of 4
        np.array([False]),  # dog: 0 of 1
        np.zeros(0, bool),  # a pair without points counts nowhere
    ]
    categories = ['cat', 'cat', 'dog', 'cow']
    found = average_pck(correct, categories)
    assert found == pytest.approx(
        dict(
            image=100 * (1 + 0.25 + 0) / 3,
            point=100 * 3 / 7,
            category=100 * (3 / 6 + 0) / 2,
        )
    )
    assert category_pck(correct, categories) == dict(cat=50.0, dog=0.0)


def test_no_points_at_all():
    found = average_pck([np.zeros(0, bool)], ['cat'])
    assert np.isnan(list(found.values())).all()


def test_identity_keeps_the_relative_position():
    found = identity_points([[50, 20], [100, 0]], (100, 40), (300, 80))
    assert found.tolist() == [[150, 40], [300, 0]]


def test_oracle_is_the_centre_of_the_cell_that_holds_the_point():
    # cells of 20 x 10 pixels, 2 rows, 3 columns: an image of 60 x 20
    points = [[0, 0], [19.9, 9.9], [20.1, 10.1], [60, 20]]
    found = oracle_points(points, (20, 10), (2, 3))
    assert found.tolist() == [[10, 5], [10, 5], [30, 15], [50, 15]]


def test_oracle_is_the_nearest_of_all_centres():
    rng = np.random.default_rng(0)
    cell, grid = np.array([7.5, 11.0]), (5, 9)
    points = rng.uniform(0, 1, (50, 2)) * cell * grid[::-1]
    y, x = np.mgrid[: grid[0], : grid[1]]
    centres = (np.stack([x.ravel(), y.ravel()], 1) + 0.5) * cell
    gaps = np.linalg.norm(points[:, None] - centres, axis=2)
    best = centres[gaps.argmin(1)]
    np.testing.assert_allclose(oracle_points(points, cell, grid), best)
