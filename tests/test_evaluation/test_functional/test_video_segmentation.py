"""J, F and statistics against a plain full-frame implementation."""

import cv2
import numpy as np
import pytest

from lore_mm.evaluation.functional import (
    boundary_accuracy,
    davis_statistics,
    region_similarity,
    score_frame,
)

HEIGHT, WIDTH = 480, 854  # of DAVIS at 480p


def plain_boundary(mask: np.ndarray) -> np.ndarray:
    """The map as the definition writes it, with zero-filled shifts."""
    padded = np.pad(mask, ((0, 1), (0, 1)))
    right, below, both = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    edge = (mask ^ right) | (mask ^ below) | (mask ^ both)
    edge[-1] = mask[-1] ^ right[-1]
    edge[:, -1] = mask[:, -1] ^ below[:, -1]
    edge[-1, -1] = False
    return edge


def plain_scores(pred: np.ndarray, gt: np.ndarray) -> tuple[float, float]:
    union = (pred | gt).sum()
    similarity = (pred & gt).sum() / union if union else 1.0
    radius = int(
        np.ceil(0.008 * np.sqrt(pred.shape[0] ** 2 + pred.shape[1] ** 2))
    )
    grid = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = ((grid**2).sum(0) <= radius**2).astype(np.uint8)
    edges = [plain_boundary(mask) for mask in (pred, gt)]
    wide = [cv2.dilate(edge.astype(np.uint8), disk) > 0 for edge in edges]
    sizes = [edge.sum() for edge in edges]
    if not sizes[0] and not sizes[1]:
        precision = recall = 1.0
    elif not sizes[0] or not sizes[1]:
        precision, recall = float(not sizes[0]), float(not sizes[1])
    else:
        precision = (edges[0] & wide[1]).sum() / sizes[0]
        recall = (edges[1] & wide[0]).sum() / sizes[1]
    if precision + recall == 0:
        return similarity, 0.0
    return similarity, 2 * precision * recall / (precision + recall)


def square(shift: int = 0) -> np.ndarray:
    mask = np.zeros((1, HEIGHT, WIDTH), dtype=bool)
    mask[:, 100:200, 100 + shift : 200 + shift] = True
    return mask


@pytest.mark.parametrize(
    'shift,similarity,accuracy',
    [
        (4, 0.923077, 1),
        (8, 0.851852, 1),
        (9, 0.834862, 0.54),
        (12, None, 0.525),
        (20, 0.666667, 0.485),
    ],
)
def test_micro_figures(shift, similarity, accuracy):
    pred, gt = square(shift), square()
    if similarity is not None:
        found = region_similarity(pred, gt)
        assert found == pytest.approx([similarity], abs=1e-6)
    assert boundary_accuracy(pred, gt) == pytest.approx([accuracy], abs=1e-6)


def test_statistics_of_the_protocol():
    found = davis_statistics(np.linspace(1, 0.2, 38))
    assert found == pytest.approx((0.6, 0.631579, 0.605405), abs=1e-6)


@pytest.mark.parametrize('length', [255, 256, 257, 1000])
def test_statistics_beyond_255_frames(length):
    found = davis_statistics(np.linspace(1, 0, length))
    assert found.mean == pytest.approx(0.5)
    assert found.decay == pytest.approx(0.75, abs=0.01)


def test_statistics_of_few_frames():
    assert davis_statistics([0.7]) == (0.7, 1.0, 0.0)
    found = davis_statistics([1.0, 0.5])
    assert found[:2] == (0.75, 0.5)


@pytest.mark.parametrize('scores', [[], [[1.0, 2.0]]])
def test_statistics_of_no_scores(scores):
    with pytest.raises(ValueError, match='at least one score in one dim'):
        davis_statistics(scores)


EMPTY, FULL = np.zeros((1, 40, 60), bool), np.ones((1, 40, 60), bool)
PART = np.zeros((1, 40, 60), bool)
PART[:, 10:20, 10:30] = True


@pytest.mark.parametrize(
    'pred,gt,similarity,accuracy',
    [
        (EMPTY, EMPTY, 1, 1),
        (EMPTY, PART, 0, 0),
        (PART, EMPTY, 0, 0),
        # A mask that fills the frame has no boundary.
        (FULL, FULL, 1, 1),
        (FULL, EMPTY, 0, 1),
        (FULL, PART, 200 / 2400, 0),
    ],
)
def test_empty_and_full_masks(pred, gt, similarity, accuracy):
    assert region_similarity(pred, gt) == pytest.approx([similarity])
    assert boundary_accuracy(pred, gt) == [accuracy]
    assert plain_scores(pred[0], gt[0]) == (similarity, accuracy)


def blobs(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A union of boxes and discs, many of them over the border."""
    mask = np.zeros(shape, dtype=np.uint8)
    for _ in range(rng.integers(1, 4)):
        centre = rng.integers(-5, np.array(shape[::-1]) + 5)
        size = rng.integers(1, 30, 2)
        low, high = centre - size, centre + size
        if rng.random() < 0.5:
            cv2.rectangle(mask, low.tolist(), high.tolist(), 1, -1)
        else:
            cv2.circle(mask, centre.tolist(), int(size[0]), 1, -1)
    return mask.astype(bool)


@pytest.mark.parametrize('shape', [(60, 90), (150, 70), (1, 40), (300, 500)])
def test_same_digits_as_full_frames(shape):
    rng = np.random.default_rng(0)
    pred = np.stack([blobs(rng, shape) for _ in range(25)])
    gt = np.stack([blobs(rng, shape) for _ in range(25)])
    for i in range(0, 25, 2):  # most are near each other
        gt[i] = np.roll(pred[i], rng.integers(-9, 9, 2), (0, 1)) | gt[i] & (
            rng.random(shape) < 0.1
        )
    # Speckles on the last row, the last column and the corners.
    pred[1, -1, ::7] = gt[2, ::5, -1] = gt[4, 0, 0] = pred[5, -1, -1] = True
    expected = [plain_scores(p, g) for p, g in zip(pred, gt, strict=True)]
    similarity, accuracy = np.array(expected).T
    assert np.array_equal(region_similarity(pred, gt), similarity)
    assert np.array_equal(boundary_accuracy(pred, gt), accuracy)
    assert len(np.unique(accuracy)) > 3


def thin(rng: np.random.Generator) -> np.ndarray:
    """Rows and dots of 1 to 6 pixels, as of objects that leave the frame."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    top = rng.choice([0, 200, HEIGHT - 6])
    for _ in range(rng.integers(1, 4)):
        low, left = rng.integers(0, 6), rng.integers(0, 60)
        rows = slice(top + low, top + 6)
        mask[rows, left : left + rng.integers(1, 9)] = True
    return mask


def test_same_digits_where_masks_are_lower_than_the_radius():
    rng = np.random.default_rng(2)
    accuracies = []
    for _ in range(60):
        pred, gt = thin(rng), thin(rng)
        if rng.random() < 0.5:  # beside each other
            gt = np.roll(pred, rng.integers(-20, 20), 1)
        expected = plain_scores(pred, gt)
        assert region_similarity(pred[None], gt[None]) == [expected[0]]
        assert boundary_accuracy(pred[None], gt[None]) == [expected[1]]
        accuracies.append(expected[1])
    assert len(np.unique(accuracies)) > 9


def test_points_beside_a_low_crop_are_not_near():
    pred, gt = np.zeros((2, 1, HEIGHT, WIDTH), dtype=bool)
    pred[0, 100, [100, 130]] = gt[0, 100, 130] = True
    assert boundary_accuracy(pred, gt) == pytest.approx([2 / 3])


def test_score_frame_is_per_object():
    rng = np.random.default_rng(1)
    pred, gt = rng.integers(0, 4, (2, 30, 50))
    pred[pred == 2] = 0  # vanished
    scores = score_frame(pred, gt, 3)
    for i in (1, 2, 3):
        masks = (pred == i)[None], (gt == i)[None]
        assert scores[i - 1, 0] == region_similarity(*masks)
        assert scores[i - 1, 1] == boundary_accuracy(*masks)
    assert scores[1].tolist() == [0, 0]


def test_bound_of_one_or_more_is_pixels():
    pred, gt = square(9), square()
    assert boundary_accuracy(pred, gt, bound_th=9) == [1]
    assert boundary_accuracy(pred, gt, bound_th=8) == boundary_accuracy(
        pred, gt
    )


def test_integers_count_as_masks():
    pred, gt = square(4), square()
    assert region_similarity(pred * 255, gt.astype(int)) == region_similarity(
        pred, gt
    )


@pytest.mark.parametrize('score', [region_similarity, boundary_accuracy])
def test_wrong_shapes(score):
    with pytest.raises(ValueError, match=r'same shape \(T, H, W\)'):
        score(EMPTY, EMPTY[:, :-1])
    with pytest.raises(ValueError, match=r'same shape \(T, H, W\)'):
        score(EMPTY[0], EMPTY[0])
    with pytest.raises(ValueError, match=r'same shape \(H, W\)'):
        score_frame(EMPTY[0], EMPTY[0, 1:], 1)


def test_negative_bound():
    with pytest.raises(ValueError, match='bound_th must be at least 0'):
        boundary_accuracy(EMPTY, EMPTY, bound_th=-1)
