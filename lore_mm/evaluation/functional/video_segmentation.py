"""Scores of DAVIS: region similarity J, boundary accuracy F, statistics.

The definitions are those of the official DAVIS-2017 evaluation (Perazzi et
al., CVPR 2016; Pont-Tuset et al., 2017). The values are the same; all work is
done inside the box around the two masks, and distances are looked at for the
few pixels of a boundary only.
"""

import math
from typing import NamedTuple

import numpy as np

# Bins over time; decay is the first minus the last.
_NUM_BINS = 4


class DAVISStatistics(NamedTuple):
    """Statistics over the frames of one object.

    Attributes:
        mean (float): Mean of the scores.
        recall (float): Share of frames with a score above 0.5.
        decay (float): Mean of the first quarter minus that of the last.
    """

    mean: float
    recall: float
    decay: float


def region_similarity(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """J: intersection over union of each frame; 1 where both are empty.

    Args:
        pred (np.ndarray): Predicted masks (T, H, W), boolean or 0 / non-0.
        gt (np.ndarray): True masks (T, H, W), likewise.

    Returns:
        np.ndarray: (T,), float64 in [0, 1].

    Raises:
        ValueError: The shapes differ or are not (T, H, W).
    """
    pred, gt = _checked(pred, gt)
    scores = [_overlap(*_crop(p, g)) for p, g in zip(pred, gt, strict=True)]
    return np.array(scores, dtype=np.float64)


def boundary_accuracy(
    pred: np.ndarray, gt: np.ndarray, bound_th: float = 0.008
) -> np.ndarray:
    """F: harmonic mean of precision and recall of the boundary pixels.

    Args:
        pred (np.ndarray): Predicted masks (T, H, W), boolean or 0 / non-0.
        gt (np.ndarray): True masks (T, H, W), likewise.
        bound_th (float): How far apart boundaries may lie: a share of the
            image diagonal, rounded up to pixels, or pixels where it is 1 or
            more. Defaults to 0.008.

    Returns:
        np.ndarray: (T,), float64 in [0, 1].

    Raises:
        ValueError: The shapes differ or are not (T, H, W), or ``bound_th`` is
            negative.
    """
    pred, gt = _checked(pred, gt)
    radius = boundary_radius(pred.shape[1:], bound_th)
    scores = [
        _boundary_score(*_crop(p, g), radius)
        for p, g in zip(pred, gt, strict=True)
    ]
    return np.array(scores, dtype=np.float64)


def davis_statistics(per_frame: np.ndarray) -> DAVISStatistics:
    """Mean, recall and decay of the scores of one object.

    Neighbouring bins share the frame between them, as in the official code;
    unlike there, more than 255 frames are counted rightly.

    Args:
        per_frame (np.ndarray): Scores (n,) in the order of time.

    Returns:
        DAVISStatistics: ``(mean, recall, decay)``.

    Raises:
        ValueError: There is no score, or it is not one-dimensional.
    """
    scores = np.asarray(per_frame, dtype=np.float64)
    if scores.ndim != 1 or not len(scores):
        raise ValueError(
            f'per_frame must hold at least one score in one dimension, got '
            f'the shape {scores.shape}.'
        )
    edges = np.linspace(1, len(scores), _NUM_BINS + 1)
    edges = np.round(edges + 1e-10).astype(int) - 1
    first = scores[edges[0] : edges[1] + 1]
    last = scores[edges[-2] : edges[-1] + 1]
    return DAVISStatistics(
        mean=float(scores.mean()),
        recall=float((scores > 0.5).mean()),
        decay=float(first.mean() - last.mean()),
    )


def score_frame(
    pred: np.ndarray,
    gt: np.ndarray,
    num_objects: int,
    bound_th: float = 0.008,
) -> np.ndarray:
    """J and F of all objects in one frame.

    Args:
        pred (np.ndarray): Predicted ids (H, W), integers, 0 is background.
        gt (np.ndarray): True ids (H, W).
        num_objects (int): Objects 1 to ``num_objects`` are scored.
        bound_th (float): See :func:`boundary_accuracy`.

    Returns:
        np.ndarray: (num_objects, 2): J and F.

    Raises:
        ValueError: The shapes differ or are not (H, W).
    """
    if pred.ndim != 2 or pred.shape != gt.shape:
        raise ValueError(
            f'pred and gt must have the same shape (H, W), got {pred.shape} '
            f'and {gt.shape}.'
        )
    radius = boundary_radius(gt.shape, bound_th)
    scores = np.empty((num_objects, 2))
    for i in range(num_objects):
        masks = _crop(pred == i + 1, gt == i + 1)
        scores[i] = _overlap(*masks), _boundary_score(*masks, radius)
    return scores


def boundary_radius(shape: tuple[int, int], bound_th: float) -> int:
    """How far apart two boundaries may lie, in pixels.

    Args:
        shape (tuple[int, int]): Height and width of the image.
        bound_th (float): See :func:`boundary_accuracy`.

    Raises:
        ValueError: ``bound_th`` is negative or no number.
    """
    if not bound_th >= 0:
        raise ValueError(f'bound_th must be at least 0, got {bound_th}.')
    if bound_th >= 1:
        return int(bound_th)
    return math.ceil(bound_th * math.hypot(*shape))


def _checked(
    pred: np.ndarray, gt: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both as boolean (T, H, W)."""
    pred, gt = np.asarray(pred), np.asarray(gt)
    if pred.ndim != 3 or pred.shape != gt.shape:
        raise ValueError(
            f'pred and gt must have the same shape (T, H, W), got '
            f'{pred.shape} and {gt.shape}.'
        )
    return pred.astype(bool, copy=False), gt.astype(bool, copy=False)


def _crop(pred: np.ndarray, gt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks inside the box around them and one pixel more.

    A boundary pixel is at most one pixel up or left of its mask; the pixel
    below and right keeps the crop's last row and column apart from those of
    the image, which have a rule of their own.
    """
    rows = _span(pred.any(axis=1) | gt.any(axis=1))
    if rows is None:
        return pred[:0, :0], gt[:0, :0]
    pred, gt = pred[rows], gt[rows]
    cols = _span(pred.any(axis=0) | gt.any(axis=0))
    return pred[:, cols], gt[:, cols]


def _span(used: np.ndarray) -> slice | None:
    """From one before the first to one after the last that is used."""
    found = np.flatnonzero(used)
    if not len(found):
        return None
    return slice(max(found[0] - 1, 0), found[-1] + 2)


def _overlap(pred: np.ndarray, gt: np.ndarray) -> float:
    union = np.count_nonzero(pred | gt)
    return np.count_nonzero(pred & gt) / union if union else 1.0


def _boundary_score(pred: np.ndarray, gt: np.ndarray, radius: int) -> float:
    pred, gt = _boundary(pred), _boundary(gt)
    num_pred, num_gt = np.count_nonzero(pred), np.count_nonzero(gt)
    if not num_pred and not num_gt:
        return 1.0
    # One empty: precision or recall is 0, the other 1.
    if not num_pred or not num_gt:
        return 0.0
    precision = _num_near(pred, gt, radius) / num_pred
    recall = _num_near(gt, pred, radius) / num_gt
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def _boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from the one right, below, or right and below.

    The last row looks to the right only, the last column down only, the
    corner nowhere.
    """
    edge = np.zeros_like(mask)
    if not mask.size:
        return edge
    edge[:, :-1] = mask[:, :-1] ^ mask[:, 1:]
    down = mask[:-1] ^ mask[1:]
    edge[:-1] |= down
    edge[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return edge


def _num_near(points: np.ndarray, others: np.ndarray, radius: int) -> int:
    """How many of ``points`` lie within ``radius`` of one of ``others``.

    A row of the disk around a point is a stretch of pixels in reading order:
    the first other pixel at or after its start is within it or not.
    """
    width = others.shape[1]
    # An end that no start passes, however far below the last row it is.
    found = np.append(np.flatnonzero(others), np.iinfo(np.intp).max)
    index = np.flatnonzero(points)
    total = len(index)
    rows, cols = np.divmod(index, width)
    # The rows nearest to the point first: most points need no others.
    for offset in sorted(range(-radius, radius + 1), key=abs):
        reach = math.isqrt(radius**2 - offset**2)
        start = (rows + offset) * width
        first = start + np.maximum(cols - reach, 0)
        last = start + np.minimum(cols + reach, width - 1)
        far = found[np.searchsorted(found, first)] > last
        rows, cols = rows[far], cols[far]
    return total - len(rows)
