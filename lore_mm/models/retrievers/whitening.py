"""Whitening of descriptors, learnt on another set."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Whitening(NamedTuple):
    """PCA whitening: ``(x - mean) @ projection``.

    Attributes:
        mean (np.ndarray): float32 (D,).
        projection (np.ndarray): float32 (D, d), d <= D.
    """

    mean: np.ndarray
    projection: np.ndarray


def learn_whitening(
    descriptors: np.ndarray, dims: int | None = None
) -> Whitening:
    """Learn PCA whitening from descriptors of a set that is not the test set.

    Args:
        descriptors (np.ndarray): (n, D) with n > 1; may be memory-mapped.
        dims (int, optional): Keep so many directions of largest variance.
            Defaults to None: all that vary.

    Returns:
        Whitening: Makes the covariance of these descriptors the identity.

    Raises:
        ValueError: There are too few descriptors for ``dims`` directions.
    """
    count, width = descriptors.shape
    mean, covariance = _moments(descriptors)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]  # largest first
    floor = values[0] * width * np.finfo(np.float32).eps
    vary = int(np.count_nonzero(values > max(floor, 0)))
    if dims is None:
        dims = vary
    if not 1 <= dims <= vary:
        raise ValueError(
            f'dims must be in [1, {vary}], the directions in which the '
            f'{count} descriptors vary, got {dims}.'
        )
    projection = vectors[:, :dims] / np.sqrt(values[:dims])
    return Whitening(mean.astype(np.float32), projection.astype(np.float32))


def _moments(
    descriptors: np.ndarray, block: int = 8192
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance in float64, a block at a time."""
    count, width = descriptors.shape
    if count < 2:
        raise ValueError(
            f'whitening needs at least 2 descriptors, got {count}.'
        )
    mean = np.zeros(width)
    for start in range(0, count, block):
        mean += descriptors[start : start + block].sum(0, dtype=np.float64)
    mean /= count
    covariance = np.zeros((width, width))
    for start in range(0, count, block):
        part = descriptors[start : start + block].astype(np.float64) - mean
        covariance += part.T @ part
    return mean, covariance / (count - 1)


def save_whitening(whitening: Whitening, path: str | Path) -> None:
    """Write a whitening to an ``.npz`` file."""
    with Path(path).open('wb') as file:
        np.savez(file, **whitening._asdict())


def load_whitening(path: str | Path) -> Whitening:
    """Read what :func:`save_whitening` wrote; nothing in it is run.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no whitening.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"whitening '{path}' does not exist.")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = Whitening(file['mean'], file['projection'])
        shapes = (found.mean.ndim, found.projection.ndim)
        if shapes != (1, 2) or len(found.mean) != len(found.projection):
            raise ValueError('shapes do not fit')
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"'{path}' holds no whitening: {error}; make it with "
            f'save_whitening.'
        ) from error
    return found
