"""Masks of objects as palette PNG files."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from .loading import FAULTS

VOID = 255
_MODES = ('P', 'L', '1')
_MAX_ID = 254  # 255 is void


def davis_palette() -> np.ndarray:
    """Colours of the ids, (256, 3) uint8, as in DAVIS and PASCAL VOC.

    The bits of the id are dealt out to red, green and blue, the highest bit
    of each colour first.
    """
    ids = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for place in range(8):
        for channel in range(3):
            bit = (ids >> (3 * place + channel)) & 1
            colours[:, channel] |= (bit << (7 - place)).astype(np.uint8)
    return colours


_FLAT_PALETTE = davis_palette().ravel().tolist()


def read_mask(path: str | Path) -> tuple[np.ndarray, str]:
    """Pixels of a mask as they are in the file, and Pillow's mode.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read. Both name it.
    """
    try:
        with Image.open(path) as image:
            return np.array(image), image.mode
    except FileNotFoundError as error:
        raise FileNotFoundError(f"mask '{path}' does not exist.") from error
    except FAULTS as error:
        raise ValueError(f"mask '{path}' cannot be read: {error}.") from error


def load_mask(path: str | Path, void_id: int = 0) -> np.ndarray:
    """Read the ids of a mask.

    Args:
        path (str | Path): A PNG with a palette, or 8-bit gray with the ids as
            values.
        void_id (int): What 255 is read as: 0, void counts as background, or 1
            where a mask is 0 / 255 with one object. Defaults to 0.

    Returns:
        np.ndarray: Ids (H, W), uint8; 0 is background.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or holds colours in the place of ids.
    """
    mask, mode = read_mask(path)
    if mode not in _MODES:
        raise ValueError(
            f"mask '{path}' must hold ids: a palette PNG (mode P) or 8-bit "
            f'gray (mode L), got mode {mode}; save it with one id per object.'
        )
    mask = mask.astype(np.uint8)
    mask[mask == VOID] = void_id
    return mask


def save_mask(path: str | Path, mask: np.ndarray) -> None:
    """Write ids as a PNG with DAVIS's palette, whole or not at all.

    Args:
        path (str | Path): The file; its folder is made.
        mask (np.ndarray): Ids (H, W), 0 to 254.

    Raises:
        ValueError: An id is out of range, or the file cannot be written.
    """
    if mask.min() < 0 or mask.max() > _MAX_ID:
        raise ValueError(
            f'ids must be in [0, {_MAX_ID}], got {mask.min()} to {mask.max()}.'
        )
    path = Path(path)
    image = Image.fromarray(mask.astype(np.uint8), mode='P')
    image.putpalette(_FLAT_PALETTE)
    # Two processes may write the same file, where a sampler pads its shard.
    temp = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            image.save(temp, format='PNG')
            os.replace(temp, path)
        finally:
            temp.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(
            f"mask '{path}' cannot be written ({error.strerror or error}); "
            'choose another folder.'
        ) from error
