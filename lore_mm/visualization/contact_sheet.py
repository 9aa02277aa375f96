"""A picture of what a retrieval found."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont, ImageOps

from .picture_file import picture_format, save_picture

_BORDER = 4
_MARGIN = 6
_WHITE = (255, 255, 255)
_TEXT = (32, 32, 32)
_QUERY = (60, 90, 200)
_COLOURS = {
    True: (30, 150, 60),
    False: (205, 40, 40),
    None: (190, 190, 190),
}


class Tile(NamedTuple):
    """One found image.

    Attributes:
        path (str | Path): Its file.
        score (float): What is written below it.
        relevant (bool | None): Green border if True, red if False, grey if
            it is not known. Defaults to None.
    """

    path: str | Path
    score: float
    relevant: bool | None = None


def draw_contact_sheet(
    queries: Sequence[str | Path],
    found: Sequence[Sequence[Tile]],
    tile_size: int = 128,
) -> Image.Image:
    """One row for each query: the query, then what was found, best first.

    Args:
        queries (Sequence[str | Path]): Files of the queries; blue borders.
        found (Sequence[Sequence[Tile]]): For each query its results.
        tile_size (int): Side of a picture's square, in pixels. Defaults to
            128.

    Returns:
        Image.Image: RGB, with rank and score below each picture.

    Raises:
        ValueError: There is no query, or not one list for each.
        FileNotFoundError: An image does not exist.
    """
    if not queries or len(queries) != len(found):
        raise ValueError(
            f'found must have one list for each query, at least one, got '
            f'{len(found)} for {len(queries)} queries.'
        )
    if tile_size < 16:
        raise ValueError(f'tile_size must be at least 16, got {tile_size}.')
    font = ImageFont.load_default(max(9, tile_size // 10))
    line = sum(font.getmetrics()) + 2
    step_x = tile_size + 2 * _BORDER + _MARGIN
    step_y = step_x + line
    columns = 1 + max(len(row) for row in found)
    size = (columns * step_x + _MARGIN, len(queries) * step_y + _MARGIN)
    sheet = Image.new('RGB', size, _WHITE)
    for y, (query, row) in enumerate(zip(queries, found, strict=True)):
        top = _MARGIN + y * step_y
        _paste(sheet, query, (_MARGIN, top), tile_size, _QUERY, 'query', font)
        for x, tile in enumerate(row, 1):
            _paste(
                sheet,
                tile.path,
                (_MARGIN + x * step_x, top),
                tile_size,
                _COLOURS[tile.relevant],
                f'{x}: {tile.score:.3f}',
                font,
            )
    return sheet


def save_contact_sheet(
    path: str | Path,
    queries: Sequence[str | Path],
    found: Sequence[Sequence[Tile]],
    tile_size: int = 128,
) -> None:
    """Write :func:`draw_contact_sheet` to a file, whole or not at all.

    Raises:
        ValueError: As there, or the file cannot be written.
    """
    picture_format(path)  # told before the work
    save_picture(path, draw_contact_sheet(queries, found, tile_size))


def _paste(
    sheet: Image.Image,
    path: str | Path,
    corner: tuple[int, int],
    side: int,
    colour: tuple[int, int, int],
    text: str,
    font: ImageFont.ImageFont,
) -> None:
    """Draw an image in a border of ``colour``, with a line of text below."""
    left, top = corner
    draw = ImageDraw.Draw(sheet)
    outer = side + 2 * _BORDER
    box = (left, top, left + outer - 1, top + outer - 1)
    draw.rectangle(box, fill=_WHITE, outline=colour, width=_BORDER)
    inner = (left + _BORDER, top + _BORDER)
    sheet.paste(_square(path, side), inner)
    draw.text((left + _BORDER, top + outer), text, _TEXT, font)


def _square(path: str | Path, side: int) -> Image.Image:
    """The whole image, upright, on a white square."""
    with Image.open(path) as img:
        img = ImageOps.exif_transpose(img).convert('RGB')
    img.thumbnail((side, side))
    return ImageOps.pad(img, (side, side), color=_WHITE)
