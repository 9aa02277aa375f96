"""Rows of pictures: an image and maps over its patches."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GAP = 6
_WHITE = (255, 255, 255)
_TEXT = (34, 34, 34)
_QUERY = (0, 255, 255)
_OPACITY = 0.6
# A few patches can hold most of the attention of a ViT without registers;
# a scale up to the largest weight would show nothing else.
_SCALE_TO = 99


class MapRow(NamedTuple):
    """A row of a picture.

    Attributes:
        image (np.ndarray): RGB (H, W, 3), uint8.
        maps (Mapping[str, np.ndarray]): Maps (h, w) by their titles.
        title (str): What to write above the image.
        query (tuple[int, int] | None): Row and column of a patch to mark.
    """

    image: np.ndarray
    maps: Mapping[str, np.ndarray]
    title: str = ''
    query: tuple[int, int] | None = None


def draw_map_rows(rows: Sequence[MapRow], height: int = 224) -> np.ndarray:
    """Draw rows below each other, each with one colour scale.

    The scale of a row goes from 0 to the 99th percentile of all its maps.

    Args:
        rows (Sequence[MapRow]): At least one.
        height (int): Height of the images in pixels; at least 32.

    Returns:
        np.ndarray: RGB (H, W, 3), uint8.

    Raises:
        ValueError: There is no row, or ``height`` is below 32.
    """
    if not rows:
        raise ValueError('there must be at least one row to draw.')
    if height < 32:
        raise ValueError(f'height must be at least 32 pixels, got {height}.')
    pictures = [_draw_row(row, height) for row in rows]
    width = max(picture.width for picture in pictures)
    total = sum(picture.height for picture in pictures)
    sheet = Image.new('RGB', (width, total), _WHITE)
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return np.asarray(sheet)


def _draw_row(row: MapRow, height: int) -> Image.Image:
    cells = draw_map_cells(row, height)
    size = (next(iter(cells.values())).shape[1], height)
    font = ImageFont.load_default(max(10, height // 14))
    line = sum(font.getmetrics()) + 4
    width = len(cells) * (size[0] + _GAP) - _GAP
    picture = Image.new('RGB', (width, line + height + _GAP), _WHITE)
    draw = ImageDraw.Draw(picture)
    for index, (name, cell) in enumerate(cells.items()):
        left = index * (size[0] + _GAP)
        name = _fit(name, font, size[0])
        draw.text((left + 2, 1), name, _TEXT, font)
        picture.paste(Image.fromarray(cell), (left, line))
    return picture


def draw_map_cells(row: MapRow, height: int) -> dict[str, np.ndarray]:
    """The pictures of a row, by their titles, on one colour scale.

    Args:
        row (MapRow): The patch that asks is framed in each picture.
        height (int): Height of each picture in pixels.

    Returns:
        dict[str, np.ndarray]: RGB (height, W, 3), uint8; the image comes
        first, under the title of the row or ``'image'``.
    """
    ratio = height / row.image.shape[0]
    size = (max(1, round(row.image.shape[1] * ratio)), height)
    image = cv2.resize(row.image, size, interpolation=cv2.INTER_CUBIC)
    everything = np.concatenate([m.ravel() for m in row.maps.values()])
    top_value = max(float(np.percentile(everything, _SCALE_TO)), 1e-12)
    cells = {row.title or 'image': image}
    for name, grid in row.maps.items():
        cells[name] = overlay_map(image, grid, top_value)
    if row.query is None:
        return cells
    return {name: _marked(cell, row) for name, cell in cells.items()}


def overlay_map(image: np.ndarray, grid: np.ndarray, top: float) -> np.ndarray:
    """A map in colours over an image.

    Args:
        image (np.ndarray): RGB (H, W, 3), uint8.
        grid (np.ndarray): Weights (h, w), 0 or more.
        top (float): Weight that gets the brightest colour.
    """
    size = (image.shape[1], image.shape[0])
    share = np.clip(grid / top, 0, 1).astype(np.float32)
    share = cv2.resize(share, size, interpolation=cv2.INTER_LINEAR)
    colours = matplotlib.colormaps['inferno'](share)[..., :3] * 255
    gray = image.mean(-1, keepdims=True)  # the map's colours stay readable
    mixed = _OPACITY * colours + (1 - _OPACITY) * gray
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _marked(cell: np.ndarray, row: MapRow) -> np.ndarray:
    """A frame round the patch that asks."""
    picture = Image.fromarray(cell)
    rows, columns = next(iter(row.maps.values())).shape
    step_x, step_y = picture.width / columns, picture.height / rows
    left, top = row.query[1] * step_x, row.query[0] * step_y
    box = (left, top, left + step_x, top + step_y)
    ImageDraw.Draw(picture).rectangle(box, outline=_QUERY, width=2)
    return np.asarray(picture)


def _fit(text: str, font: ImageFont.ImageFont, width: int) -> str:
    """``text``, cut to ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + '...') > width:
        text = text[:-1]
    return text + '...'
