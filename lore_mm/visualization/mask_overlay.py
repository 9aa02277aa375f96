"""Masks laid over the frames of a video."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from PIL import Image

from lore_mm.datasets.davis_masks import davis_palette
from lore_mm.utils.outputs import check_folder

OVERLAY_FORMATS = ('.mp4', '.gif')
# A GIF is held in memory until it is written.
_GIF_SIDE = 480
_ADVICE = 'choose another file'


def overlay_mask(
    img: np.ndarray,
    mask: np.ndarray,
    alpha: float = 0.5,
    palette: np.ndarray | None = None,
) -> np.ndarray:
    """Tint the objects and draw their outlines.

    Args:
        img (np.ndarray): RGB (H, W, 3), uint8.
        mask (np.ndarray): Ids (H, W); 0 is background and stays as it is.
        alpha (float): Weight of the colour, from 0 to 1. Defaults to 0.5.
        palette (np.ndarray, optional): Colour of each id, (n, 3) uint8; ids
            beyond begin anew after 0. Defaults to None: DAVIS's.

    Returns:
        np.ndarray: (H, W, 3), uint8.

    Raises:
        ValueError: Sizes differ, or ``alpha`` is out of range.
    """
    if img.shape[:2] != mask.shape:
        raise ValueError(
            f'img and mask must be of one size, got {img.shape[:2]} and '
            f'{mask.shape}.'
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f'alpha must be in [0, 1], got {alpha}.')
    palette = davis_palette() if palette is None else np.asarray(palette)
    index = np.where(mask > 0, (mask.astype(int) - 1) % (len(palette) - 1), -1)
    colours = palette[index + 1]
    inside = mask > 0
    result = img.copy()
    mixed = (1 - alpha) * img[inside] + alpha * colours[inside]
    result[inside] = np.round(mixed).astype(np.uint8)
    width = max(1, round(min(mask.shape) / 240))
    border = _inner_border(mask, width)
    result[border] = colours[border]
    return result


def _inner_border(mask: np.ndarray, width: int) -> np.ndarray:
    """Pixels of objects at most ``width`` from another id."""
    kernel = np.ones((2 * width + 1,) * 2, dtype=np.uint8)
    ids = mask.astype(np.uint16)
    low, high = cv2.erode(ids, kernel), cv2.dilate(ids, kernel)
    return (mask > 0) & (low != high)


class OverlayWriter:
    """Write RGB frames to a video file, one after the other.

    Use it as a context manager. An MP4 is written frame by frame. A GIF is
    kept in memory with a long side of at most 480 pixels and written at the
    end. Until it is complete the file has another name, so that a failure
    leaves an older one as it was.

    Args:
        path (str | Path): ``.mp4`` or ``.gif``.
        fps (float): Frames per second. Defaults to 24.

    Raises:
        ValueError: The format is unknown, or the folder cannot be written.
    """

    def __init__(self, path: str | Path, fps: float = 24) -> None:
        self.path = Path(path)
        self.fps = fps
        suffix = self.path.suffix.lower()
        if suffix not in OVERLAY_FORMATS:
            raise ValueError(
                f'an overlay must end in one of {OVERLAY_FORMATS}, got '
                f"'{path}'."
            )
        if not fps > 0:
            raise ValueError(f'fps must be above 0, got {fps}.')
        self._video: cv2.VideoWriter | None = None
        self._images: list[Image.Image] = []
        check_folder(self.path.parent, 'folder of the overlay', _ADVICE)
        # Both writers choose the format by the suffix.
        self._temp = self.path.with_name(f'.{self.path.stem}.tmp{suffix}')

    def __enter__(self) -> 'OverlayWriter':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        if self._video is not None:
            self._video.release()
        self._temp.unlink(missing_ok=True)  # no half a video

    def append(self, img: np.ndarray) -> None:
        """Add a frame, RGB (H, W, 3), uint8."""
        if self.path.suffix.lower() == '.gif':
            image = Image.fromarray(img)
            image.thumbnail((_GIF_SIDE, _GIF_SIDE))
            self._images.append(image.quantize())
            return
        if self._video is None:
            self._video = self._open(img.shape[1::-1])
        self._video.write(cv2.cvtColor(img, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file.

        Raises:
            ValueError: It cannot be written.
        """
        try:
            if self._video is not None:
                self._video.release()
            else:
                self._save_images()
            os.replace(self._temp, self.path)
        except OSError as error:
            raise ValueError(
                self._unwritable(error.strerror or str(error))
            ) from error
        finally:
            self._temp.unlink(missing_ok=True)

    def _save_images(self) -> None:
        if not self._images:
            raise ValueError(self._unwritable('it has no frame'))
        first, *rest = self._images
        first.save(
            self._temp,
            save_all=True,
            append_images=rest,
            duration=round(1000 / self.fps),
            loop=0,
        )

    def _open(self, size: Sequence[int]) -> cv2.VideoWriter:
        video = cv2.VideoWriter(
            str(self._temp),
            cv2.VideoWriter_fourcc(*'mp4v'),
            self.fps,
            tuple(size),
        )
        if not video.isOpened():
            raise ValueError(
                self._unwritable('OpenCV has no encoder; try .gif')
            )
        return video

    def _unwritable(self, why: str) -> str:
        return f"overlay '{self.path}' cannot be written ({why}); {_ADVICE}."
