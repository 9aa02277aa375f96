"""Two images side by side with lines between points that match."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

CORRECT = (0, 158, 61)
WRONG = (214, 39, 40)
UNKNOWN = (31, 119, 180)
NOT_MUTUAL = (150, 150, 150)
_GAP = 8  # pixels of white between the images


def draw_matches(
    source: np.ndarray,
    target: np.ndarray,
    source_points: ArrayLike,
    target_points: ArrayLike,
    correct: Sequence[bool] | None = None,
    mutual: Sequence[bool] | None = None,
    truth: ArrayLike | None = None,
    height: int = 400,
) -> np.ndarray:
    """Draw matches as lines from the left image to the right one.

    Green lines are correct, red ones wrong; where nothing is known of that
    they are blue, or gray for a match that is not mutual. Where the truth is
    known, a ring marks it, and a thin line leads to it from a wrong match.

    Args:
        source (np.ndarray): RGB image (H, W, 3), uint8.
        target (np.ndarray): RGB image, of any other size.
        source_points (array): (n, 2), x before y, in pixels of the source.
        target_points (array): (n, 2), in pixels of the target.
        correct (Sequence[bool], optional): Whether each match is correct.
        mutual (Sequence[bool], optional): Whether each match is mutual.
        truth (array, optional): True points (n, 2) in the target.
        height (int): Height of the picture; both images are scaled to it.
            Defaults to 400.

    Returns:
        np.ndarray: RGB picture (height, W', 3), uint8.

    Raises:
        ValueError: The numbers of points differ.
    """
    points = [np.asarray(p, float) for p in (source_points, target_points)]
    for name, value in (
        ('target_points', points[1]),
        ('correct', correct),
        ('mutual', mutual),
        ('truth', truth),
    ):
        if value is not None and len(value) != len(points[0]):
            raise ValueError(
                f'{name} must have one entry for each of the '
                f'{len(points[0])} source points, got {len(value)}.'
            )
    left, left_scale = _scaled(source, height)
    right, right_scale = _scaled(target, height)
    offset = np.array([left.width + _GAP, 0])
    canvas = Image.new('RGB', (offset[0] + right.width, height), 'white')
    canvas.paste(left, (0, 0))
    canvas.paste(right, (int(offset[0]), 0))
    draw = ImageDraw.Draw(canvas)
    starts = points[0] * left_scale
    ends = points[1] * right_scale + offset
    marks = None
    if truth is not None:
        marks = np.asarray(truth, float) * right_scale + offset
    colours = _colours(len(starts), correct, mutual)
    width = max(1, height // 200)
    for i, colour in enumerate(colours):
        draw.line([*starts[i], *ends[i]], fill=colour, width=width)
        if marks is not None and colour == WRONG:
            draw.line([*ends[i], *marks[i]], fill='white', width=1)
    radius = max(2, height // 100)
    for i, colour in enumerate(colours):
        _dot(draw, starts[i], radius, colour)
        _dot(draw, ends[i], radius, colour)
        if marks is not None:
            box = _box(marks[i], radius + 2)
            draw.ellipse(box, outline='white', width=width)
    return np.asarray(canvas)


def _scaled(image: np.ndarray, height: int) -> tuple[Image.Image, np.ndarray]:
    """The image at a height, and its scale in x and y."""
    rows, columns = image.shape[:2]
    width = max(1, round(columns * height / rows))
    scaled = Image.fromarray(image).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return scaled, np.array([width / columns, height / rows])


def _colours(
    number: int,
    correct: Sequence[bool] | None,
    mutual: Sequence[bool] | None,
) -> list[tuple[int, int, int]]:
    if correct is not None:
        return [CORRECT if each else WRONG for each in correct]
    if mutual is not None:
        return [UNKNOWN if each else NOT_MUTUAL for each in mutual]
    return [UNKNOWN] * number


def _box(centre: np.ndarray, radius: int) -> list[float]:
    return [*(centre - radius), *(centre + radius)]


def _dot(
    draw: ImageDraw.ImageDraw,
    centre: np.ndarray,
    radius: int,
    colour: tuple[int, int, int],
) -> None:
    draw.ellipse(_box(centre, radius), fill=colour, outline='white')
