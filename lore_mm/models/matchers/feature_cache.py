"""Features of images, kept within a bound."""

import logging
from collections import OrderedDict
from collections.abc import Hashable

from mmengine.logging import print_log

from .matching import ImageFeatures


class FeatureCache:
    """The features used last, within a bound of memory.

    Each image of a set takes part in many pairs. As long as the features fit,
    each image is extracted once, whatever the order of the pairs; where they
    do not fit, the image that was not used for the longest time makes room.

    Args:
        max_bytes (int): Bound of the memory.

    Attributes:
        num_repeats (int): Images that had to be extracted again.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._kept: OrderedDict[Hashable, ImageFeatures] = OrderedDict()
        self._bytes = 0
        self._seen: set[Hashable] = set()
        self.num_repeats = 0

    def get(self, key: Hashable) -> ImageFeatures | None:
        """The features of an image, which then count as used last."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: Hashable, features: ImageFeatures) -> None:
        """Keep features; drop those used longest ago to stay in bounds."""
        if key in self._seen:
            self._count_repeat()
        self._seen.add(key)
        size = features.num_bytes
        if key in self._kept or size > self.max_bytes:
            return
        self._kept[key] = features
        self._bytes += size
        while self._bytes > self.max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.num_bytes

    def _count_repeat(self) -> None:
        self.num_repeats += 1
        if self.num_repeats == 1:
            print_log(
                f'The features of all images do not fit in '
                f'{self.max_bytes / 2**20:.0f} MB, so some images are '
                f'extracted again; raise cache_mb of the matcher, or order '
                f'the pairs so that those of one image are near each other.',
                logger='current',
                level=logging.WARNING,
            )

    def __len__(self) -> int:
        return len(self._kept)
