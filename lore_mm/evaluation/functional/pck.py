"""PCK: the share of key points that were transferred correctly."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

AVERAGES = ('image', 'point', 'category')


def as_points(points: ArrayLike | Tensor, name: str = 'points') -> np.ndarray:
    """Points as a float64 array (n, 2), x before y.

    Raises:
        ValueError: They have another shape.
    """
    if isinstance(points, Tensor):
        points = points.detach().cpu().numpy()
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(
            f'{name} must have the shape (n, 2), x before y, got '
            f'{points.shape}.'
        )
    return points


def pck(
    pred: ArrayLike | Tensor,
    gt: ArrayLike | Tensor,
    bbox: ArrayLike | Tensor,
    alpha: float = 0.1,
) -> np.ndarray:
    """Which key points are correct: |pred - gt| <= alpha * max(w, h).

    All in pixels of the original **target** image, whatever size the network
    saw. Source: the SPair-71k protocol; the threshold is inclusive.

    Args:
        pred (array): Predicted points (n, 2), x before y. A prediction that
            is not finite is wrong.
        gt (array): True points (n, 2).
        bbox (array): Box [x1, y1, x2, y2] of the target's object.
        alpha (float): Share of the box's longer side. Defaults to 0.1.

    Returns:
        np.ndarray: bool (n,).

    Raises:
        ValueError: Shapes do not fit, the box is empty, or alpha is not
            positive.
    """
    pred, gt = as_points(pred, 'pred'), as_points(gt, 'gt')
    if pred.shape != gt.shape:
        raise ValueError(
            f'pred and gt must hold the same number of points, got '
            f'{len(pred)} and {len(gt)}.'
        )
    if not alpha > 0:
        raise ValueError(f'alpha must be positive, got {alpha}.')
    distance = np.linalg.norm(pred - gt, axis=1)
    return distance <= alpha * longer_side(bbox)  # NaN compares false


def longer_side(bbox: ArrayLike | Tensor) -> float:
    """The longer side of a box [x1, y1, x2, y2].

    Raises:
        ValueError: It has no four finite numbers or no extent.
    """
    if isinstance(bbox, Tensor):
        bbox = bbox.detach().cpu().numpy()
    box = np.asarray(bbox, dtype=np.float64)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise ValueError(
            f'bbox must be four numbers [x1, y1, x2, y2], got {bbox}.'
        )
    width, height = box[2:] - box[:2]
    if min(width, height) < 0 or max(width, height) == 0:
        raise ValueError(
            f'bbox must have x1 <= x2, y1 <= y2 and an extent, got '
            f'{box.tolist()}.'
        )
    return float(max(width, height))


def average_pck(
    correct: Sequence[np.ndarray], categories: Sequence[str]
) -> dict[str, float]:
    """Three averages of the correctness of key points, in per cent.

    Args:
        correct (Sequence[np.ndarray]): For each pair of images, which of its
            key points are correct: bool (n,). A pair without points counts
            nowhere.
        categories (Sequence[str]): The category of each pair.

    Returns:
        dict[str, float]: ``image``: mean over pairs of the share within the
        pair; ``point``: all points pooled; ``category``: mean over categories
        of ``point``. NaN where there is no point at all.
    """
    per_pair = [float(np.mean(each)) for each in correct if len(each)]
    table = category_pck(correct, categories)
    return dict(
        image=_percent(per_pair),
        point=_percent(np.concatenate([np.zeros(0), *correct])),
        category=float(np.mean(list(table.values()))) if table else np.nan,
    )


def category_pck(
    correct: Sequence[np.ndarray], categories: Sequence[str]
) -> dict[str, float]:
    """Share of correct points of each category, in per cent, by name."""
    pooled = defaultdict(list)
    for name, each in zip(categories, correct, strict=True):
        if len(each):
            pooled[name].append(each)
    return {
        name: _percent(np.concatenate(pooled[name])) for name in sorted(pooled)
    }


def identity_points(
    points: ArrayLike | Tensor,
    source_size: tuple[int, int],
    target_size: tuple[int, int],
) -> np.ndarray:
    """The same relative position in the target: what looking at nothing gives.

    Args:
        points (array): Key points (n, 2) of the source, in its pixels.
        source_size (tuple[int, int]): Width and height of the source.
        target_size (tuple[int, int]): Width and height of the target.

    Returns:
        np.ndarray: (n, 2), in pixels of the target.
    """
    share = as_points(points) / np.asarray(source_size, dtype=np.float64)
    return share * np.asarray(target_size, dtype=np.float64)


def oracle_points(
    points: ArrayLike | Tensor,
    cell: tuple[float, float],
    grid: tuple[int, int],
) -> np.ndarray:
    """The nearest cell centre: the best that one point per cell can give.

    Args:
        points (array): True points (n, 2) of the target, in its pixels.
        cell (tuple[float, float]): Width and height of a cell (a patch) in
            the same pixels.
        grid (tuple[int, int]): Rows and columns of cells.

    Returns:
        np.ndarray: (n, 2).
    """
    cell = np.asarray(cell, dtype=np.float64)
    last = np.asarray(grid[::-1]) - 1
    index = np.clip(np.floor(as_points(points) / cell), 0, last)
    return (index + 0.5) * cell


def _percent(values: Sequence[float] | np.ndarray) -> float:
    return 100.0 * float(np.mean(values)) if len(values) else float('nan')
