"""Image loading that either gives RGB pixels or says what is wrong."""

import io
import os
import struct
import zlib
from pathlib import Path

import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from lore_mm.registry import TRANSFORMS

_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WITH_ALPHA = ('LA', 'La', 'PA', 'RGBA', 'RGBa')
# How the names of image files end, in small letters, wherever a folder is
# searched for images of any kind.
IMAGE_SUFFIXES = (
    '.jpg',
    '.jpeg',
    '.png',
    '.bmp',
    '.webp',
    '.tif',
    '.tiff',
    '.ppm',
    '.pgm',
)
# What Pillow raises on files that are damaged, one way or another.
FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def is_hidden(path: str | Path) -> bool:
    """Whether a file is the system's own, by the names in its path.

    Such are ``._a.jpg`` and ``__MACOSX`` of macOS and ``.ipynb_checkpoints``.

    Args:
        path (str | Path): Below the folder that is searched.
    """
    return any(p.startswith(('.', '__MACOSX')) for p in Path(path).parts)


def find_images(folder: str | Path) -> list[Path]:
    """Image files of a folder and its sub-folders, sorted, no hidden ones.

    Links to folders are followed, as :class:`ImageFolder` does; one that
    leads back to a folder that it lies in is left out.

    Args:
        folder (str | Path): Where to search; empty if it does not exist.
    """
    top = str(Path(folder))
    inside = {top: {os.path.realpath(top)}}  # the real folders on the way
    found = []
    for where, folders, files in os.walk(top, followlinks=True):
        way = inside.pop(where)
        for name in list(folders):
            path = os.path.join(where, name)
            real = os.path.realpath(path)
            if is_hidden(name) or real in way:
                folders.remove(name)
            else:
                inside[path] = way | {real}
        found += [
            Path(where, name)
            for name in files
            if name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)
        ]
    return sorted(found)


def _wide_gray_to_8_bit(img: Image.Image) -> Image.Image:
    """Scale 16-bit gray values 0..65535 to 0..255."""
    values = np.asarray(img)
    if values.dtype.kind not in 'iu':
        raise ValueError('pixels are floats; save it with 8 or 16 bits')
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError(
            f'values from {values.min()} to {values.max()} do not fit in 16 '
            'bits; save it with 8 or 16 bits'
        )
    # 65535 = 257 * 255
    scaled = (values.astype(np.int64) + 128) // 257
    return Image.fromarray(scaled.astype(np.uint8))


def _over_white(img: Image.Image) -> Image.Image:
    """Lay a partly transparent image over white."""
    img = img.convert('RGBA')
    white = Image.new('RGBA', img.size, 'white')
    return Image.alpha_composite(white, img).convert('RGB')


def decode_rgb(data: bytes, min_side: int | None = None) -> np.ndarray:
    """Decode an image file into upright RGB pixels.

    Args:
        data (bytes): Content of the file, any format that Pillow reads. Of
            an animation the first frame is taken.
        min_side (int, optional): See :class:`LoadRGBImage`.

    Returns:
        np.ndarray: uint8 array of shape (H, W, 3) in the order R, G, B.

    Raises:
        ValueError: If the content is empty, damaged or no image.
    """
    if not data:
        raise ValueError('the file is empty')
    try:
        img = Image.open(io.BytesIO(data))
    except Image.UnidentifiedImageError as error:
        raise ValueError('it is no image that Pillow knows') from error
    if min_side is not None:
        img.draft(None, (min_side, min_side))  # JPEG: by 2, 4 or 8
    return to_rgb(img)


def to_rgb(img: Image.Image) -> np.ndarray:
    """Upright RGB pixels of an image of any mode; see :class:`LoadRGBImage`.

    Args:
        img (Image.Image): Also one whose pixels are not read yet.

    Returns:
        np.ndarray: uint8 array of shape (H, W, 3) in the order R, G, B.

    Raises:
        ValueError: If the pixels are floats or beyond 16 bits. Damaged files
            raise whatever Pillow does.
    """
    img.load()
    turn = _UPRIGHT.get(img.getexif().get(_ORIENTATION))
    if turn is not None:
        img = img.transpose(turn)
    if img.mode.startswith('I') or img.mode == 'F':
        img = _wide_gray_to_8_bit(img)
    if img.mode in _WITH_ALPHA or 'transparency' in img.info:
        img = _over_white(img)
    return np.array(img.convert('RGB'))


@TRANSFORMS.register_module()
class LoadRGBImage(BaseTransform):
    """Load an image as 8-bit **RGB**, whatever kind of image it is.

    Takes the place of mmcv's ``LoadImageFromFile``, which gives BGR, cuts
    16-bit images down wrongly or not at all, and fails on a damaged file
    without its name. With this loader set ``to_rgb=False`` in the data
    preprocessor: pixels are RGB from end to end.

    - EXIF orientation is applied.
    - 16-bit gray is scaled to 8 bits (divided by 257, rounded).
    - Gray and palette images become RGB; CMYK is converted.
    - Transparent images are laid over white.
    - A truncated or damaged image raises; it is never filled up in silence.

    Required Keys:

    - img_path

    Added Keys:

    - img (np.uint8, shape (H, W, 3), RGB)
    - img_shape ((H, W))
    - ori_shape ((H, W))

    Args:
        backend_args (dict, optional): File backend of mmengine. Defaults to
            None, which follows from the path.
        min_side (int, optional): Decode a JPEG photo at 1/2, 1/4 or 1/8 of
            its size where both sides keep this many pixels: several times as
            quick as the whole photo. Other formats are decoded whole.
            Defaults to None: every image is.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be decoded, both name the file, or
            ``min_side`` is below 1.
    """

    def __init__(
        self, backend_args: dict | None = None, min_side: int | None = None
    ) -> None:
        if min_side is not None and min_side < 1:
            raise ValueError(f'min_side must be at least 1, got {min_side}.')
        self.backend_args = backend_args
        self.min_side = min_side

    def transform(self, results: dict) -> dict:
        """Add ``img``, ``img_shape`` and ``ori_shape`` to ``results``."""
        path = results['img_path']
        try:
            data = fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"image '{path}' does not exist."
            ) from error
        except IsADirectoryError as error:
            raise ValueError(f"image '{path}' is a folder.") from error
        try:
            img = decode_rgb(data, self.min_side)
        except FAULTS as error:
            raise ValueError(
                f"image '{path}' cannot be read: {error}."
            ) from error
        results['img'] = img
        results['img_shape'] = img.shape[:2]
        results['ori_shape'] = img.shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(backend_args={self.backend_args}, '
            f'min_side={self.min_side})'
        )
