"""Frames of a video, read one at a time."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from .loading import IMAGE_SUFFIXES, LoadRGBImage, is_hidden


class FrameFiles:
    """Frames that are image files; each is read when it is asked for.

    Not a :class:`collections.abc.Sequence`, so that mmengine hands it on
    without reading it.

    Args:
        paths (Sequence[str | Path]): The files, in order.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.paths = [str(path) for path in paths]
        self._load = LoadRGBImage()

    @classmethod
    def from_folder(cls, folder: str | Path) -> 'FrameFiles':
        """All images of a folder, in the order of their names.

        Numbers in names count as numbers: ``frame_2`` is before
        ``frame_10``.

        Raises:
            ValueError: The folder holds no image.
        """
        paths = [
            path
            for path in Path(folder).iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES
            and not is_hidden(path.name)
        ]
        if not paths:
            raise ValueError(
                f"video '{folder}' holds no frames "
                f'({", ".join(IMAGE_SUFFIXES)}).'
            )
        return cls(sorted(paths, key=_place))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._load({'img_path': self.paths[index]})['img']

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f'{type(self).__name__}({len(self)} frames)'


def _place(path: Path) -> tuple[list[str | int], str]:
    """Text and numbers of a name in turn; the name itself settles ties."""
    parts = re.split(r'(\d+)', path.stem)
    numbered = [int(p) if i % 2 else p for i, p in enumerate(parts)]
    return numbered, path.name


class VideoFile:
    """Frames of a video file, decoded in order.

    Args:
        path (str | Path): Any file that OpenCV decodes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: OpenCV finds no frame in it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"video '{path}' does not exist.")
        capture = cv2.VideoCapture(str(path))
        found, _ = capture.read()
        self.fps = capture.get(cv2.CAP_PROP_FPS)
        self._length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        if not found:
            raise ValueError(
                f"video '{path}' cannot be decoded; convert it to mp4, or to "
                'a folder of images.'
            )

    def __len__(self) -> int:
        """Frames that the file says it has; the decoder may find fewer."""
        return self._length

    def __iter__(self) -> Iterator[np.ndarray]:
        capture = cv2.VideoCapture(str(self.path))
        try:
            while True:
                found, frame = capture.read()
                if not found:
                    return
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            capture.release()

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.path}')"
