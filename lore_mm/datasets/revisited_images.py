"""Images of a retrieval: loaded small enough, ordered by their size."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from PIL import Image

from lore_mm.registry import DATASETS, TRANSFORMS

from .loading import FAULTS

_ORIENTATION = 0x0112  # the EXIF tag
_SIDEWAYS = (5, 6, 7, 8)  # its values that exchange width and height
_NAMED = 3  # missing images that an error names


@TRANSFORMS.register_module()
class RetrievalThumbnail(BaseTransform):
    """Crop to the query's box, if it has one, and make the image smaller.

    The image is resized by Pillow's ``thumbnail`` (Lanczos) so that its long
    side is at most ``long_side``; it is never enlarged. A cropped query keeps
    the scale that its whole image would have had.

    Required Keys:

    - img (np.uint8, shape (H, W, 3))
    - long_side (int | None): None keeps the size.
    - crop (Sequence[float] | None): [x1, y1, x2, y2] in pixels.

    Modified Keys:

    - img
    - img_shape ((H, W))

    Raises:
        ValueError: The box lies outside of the image.
    """

    def transform(self, results: dict) -> dict:
        """Crop and resize ``results['img']``."""
        img = Image.fromarray(results['img'])
        full_side = max(img.size)
        box = results.get('crop')
        if box is not None:
            x1, y1, x2, y2 = box
            if min(x2, img.width) <= max(x1, 0) or (
                min(y2, img.height) <= max(y1, 0)
            ):
                raise ValueError(
                    f'the box {list(box)} lies outside of the image '
                    f"'{results.get('img_path')}' of {img.width} x "
                    f'{img.height} pixels.'
                )
            img = img.crop(tuple(box))
        if results.get('long_side') is not None:
            side = results['long_side'] * max(img.size) / full_side
            side = max(side, 1)
            img.thumbnail((side, side), Image.Resampling.LANCZOS)
        results['img'] = np.array(img)
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@DATASETS.register_module()
class RetrievalImages(BaseDataset):
    """A list of images to describe, those of like size side by side.

    Each sample has ``row``: the place of its descriptor, in the order that
    the images were given in.

    Args:
        images (Sequence[str | Path]): Their files.
        long_side (int, optional): At most so many pixels; see
            :class:`RetrievalThumbnail`. Defaults to None, as they are.
        group_by_size (bool): Order samples by the size they will have, so
            that batches hold images of like size. Only headers are read for
            that. Defaults to True.
        **kwargs: Other arguments of mmengine's ``BaseDataset``, such as
            ``pipeline``.

    Raises:
        ValueError: There is no image, or ``long_side`` is below 1.
        FileNotFoundError: A file is missing.
    """

    def __init__(
        self,
        images: Sequence[str | Path] = (),
        long_side: int | None = None,
        group_by_size: bool = True,
        **kwargs,
    ) -> None:
        if long_side is not None and long_side < 1:
            raise ValueError(f'long_side must be at least 1, got {long_side}.')
        self.images = [str(path) for path in images]
        self.long_side = long_side
        self.group_by_size = group_by_size
        kwargs.setdefault('test_mode', True)
        super().__init__(**kwargs)

    def samples(self) -> list[dict]:
        """The images by row: ``img_path`` and, for some, ``crop``."""
        return [dict(img_path=path, crop=None) for path in self.images]

    def load_data_list(self) -> list[dict]:
        """All samples, in the order in which they are read."""
        samples = self.samples()
        if not samples:
            raise ValueError('there is no image to describe.')
        check_files([sample['img_path'] for sample in samples])
        for row, sample in enumerate(samples):
            sample.update(row=row, long_side=self.long_side)
        if self.group_by_size:
            samples.sort(key=_expected_size, reverse=True)
        return samples

    def image_facts(self) -> list[str]:
        """What a cache of descriptors must notice: one line for each row.

        Name, size and time of the file, box and long side.
        """
        facts = [''] * len(self)
        for i in range(len(self)):
            sample = self.get_data_info(i)
            path = Path(sample['img_path'])
            state = path.stat()
            facts[sample['row']] = (
                f'{self._short(path)}|{state.st_size}|{state.st_mtime_ns}|'
                f'{sample["crop"]}|{sample["long_side"]}'
            )
        return facts

    def _short(self, path: Path) -> Path:
        """The path below ``data_root``, if it is: the folder may move."""
        root = Path(self.data_root) if self.data_root else None
        inside = root is not None and path.is_relative_to(root)
        return path.relative_to(root) if inside else path


def check_files(paths: Sequence[str]) -> None:
    """Raise ``FileNotFoundError``, with names, unless all files exist."""
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        more = len(missing) - _NAMED
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} images do not exist: '
            f'{", ".join(repr(path) for path in missing[:_NAMED])}'
            f'{f" and {more} more" if more > 0 else ""}.'
        )


def _expected_size(sample: dict) -> tuple[int, int]:
    """Width and height after :class:`RetrievalThumbnail`, to order by."""
    try:
        with Image.open(sample['img_path']) as img:
            width, height = img.size
            if img.getexif().get(_ORIENTATION) in _SIDEWAYS:
                width, height = height, width
    except FAULTS:
        return 0, 0  # the loader will say what is wrong with it
    full_side = max(width, height)
    if sample['crop'] is not None:
        x1, y1, x2, y2 = map(round, sample['crop'])
        width, height = x2 - x1, y2 - y1
    long_side = sample['long_side'] or full_side
    ratio = min(1.0, math.floor(long_side) / full_side)
    return round(width * ratio), round(height * ratio)
