"""Figures of a report as PNG files in memory."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

Points = Sequence[tuple[float, float]]

_BLUE, _GREEN, _INK = '#1f5fa8', '#1b7f4d', '#222222'
_DPI = 160
# Numbers of classes up to which cells have numbers, and axes names.
_MAX_CELLS = 15
_MAX_NAMES = 40
_MAX_LETTERS = 30


def encode_picture(pixels: np.ndarray, quality: int = 85) -> bytes:
    """JPEG of RGB pixels, uint8 (H, W, 3)."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, 'JPEG', quality=quality)
    return target.getvalue()


def draw_curve(points: Points, title: str, per_cent: bool = False) -> bytes:
    """A value over the epochs of training.

    Args:
        points (Points): (epoch, value), in order; may be empty.
        title (str): What the value is.
        per_cent (bool): Values are per cent, one for each epoch. Defaults to
            False: any, as often as was logged.

    Returns:
        bytes: A PNG.
    """
    figure = Figure(figsize=(4.2, 2.8), layout='constrained')
    axes = figure.subplots()
    x, y = [p[0] for p in points], [p[1] for p in points]
    if per_cent:
        axes.plot(x, y, color=_GREEN, marker='o', markersize=3)
        low, high = min(y, default=0), max(y, default=100)
        axes.set_ylim(max(0, low - 5), min(102, high + 5))
    else:
        axes.plot(x, y, color=_BLUE)
    axes.set_title(title, fontsize=10, color=_INK)
    axes.set_xlabel('epoch', fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)
    return _png(figure)


def draw_confusion(counts: np.ndarray, classes: Sequence[str]) -> bytes:
    """Confusion matrix: rows are true classes, in shares of each row.

    Args:
        counts (np.ndarray): (K, K).
        classes (Sequence[str]): K names. Beyond 40 classes they are left out
            of the picture.

    Returns:
        bytes: A PNG.
    """
    number = len(classes)
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(totals, 1)  # a class may have no image
    side = min(max(3.2, 1.6 + 0.32 * number), 14)
    figure = Figure(figsize=(side, side), layout='constrained')
    axes = figure.subplots()
    axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    axes.set_xlabel('predicted', fontsize=9)
    axes.set_ylabel('true', fontsize=9)
    if number <= _MAX_NAMES:
        names = [_short(name) for name in classes]
        axes.set_xticks(range(number), names, rotation=90, fontsize=8)
        axes.set_yticks(range(number), names, fontsize=8)
    if number <= _MAX_CELLS:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                dark = shares[row, column] > 0.5
                axes.text(
                    column,
                    row,
                    str(int(count)),
                    ha='center',
                    va='center',
                    fontsize=8,
                    color='white' if dark else _INK,
                )
    return _png(figure)


def _short(name: str) -> str:
    """A name for an axis; ``$`` would begin a formula."""
    if len(name) > _MAX_LETTERS:
        name = name[: _MAX_LETTERS - 1] + '…'
    return name.replace('$', r'\$')


def _png(figure: Figure) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format='png', dpi=_DPI, facecolor='white')
    return target.getvalue()
