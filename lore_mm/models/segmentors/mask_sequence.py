"""Masks of a video, kept small."""

import zlib
from collections.abc import Iterator

import numpy as np

_LEVEL = 1  # masks are plain: the fastest level shrinks them enough


class MaskSequence:
    """Masks in the order of time, compressed.

    A mask takes a few kilobytes in the place of its pixels; it is unpacked
    when it is asked for. Not a :class:`collections.abc.Sequence`, so that
    mmengine hands it on as it is.

    Examples:
        >>> masks = MaskSequence()
        >>> masks.append(np.zeros((480, 854), dtype=np.uint8))
        >>> masks[0].shape
        (480, 854)
    """

    def __init__(self) -> None:
        self._packed: list[tuple[bytes, tuple[int, ...], np.dtype]] = []

    def append(self, mask: np.ndarray) -> None:
        """Add the next mask (H, W)."""
        data = zlib.compress(np.ascontiguousarray(mask), _LEVEL)
        self._packed.append((data, mask.shape, mask.dtype))

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, index: int) -> np.ndarray:
        data, shape, dtype = self._packed[index]
        flat = np.frombuffer(zlib.decompress(data), dtype)
        return flat.reshape(shape)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f'{type(self).__name__}({len(self)} masks)'
