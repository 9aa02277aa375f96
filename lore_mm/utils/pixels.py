"""What pixels of an image are."""

import numpy as np


def check_rgb(pixels: np.ndarray, name: str) -> None:
    """Raise unless pixels are RGB (H, W, 3) of type uint8.

    Args:
        pixels (np.ndarray): What is given as an image.
        name (str): What to call it in the message.

    Raises:
        ValueError: It is no array, or one of another type or shape; floats
            in [0, 1] would be read as nearly black.
    """
    if isinstance(pixels, np.ndarray):
        shape, kind = pixels.shape, pixels.dtype
        if shape[2:] == (3,) and kind == np.uint8 and 0 not in shape:
            return
        got = f'{kind} {shape}'
    else:
        got = type(pixels).__name__
    raise ValueError(
        f'{name} must be RGB pixels (H, W, 3) of type uint8, got {got}; '
        'convert it, floats in [0, 1] times 255.'
    )
