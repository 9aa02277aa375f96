"""Pairs of images with corresponding key points."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.structures import BaseDataElement

from .class_names import suggest
from .pair_images import ImageRef, image_size, missing_image


class PairDataset(BaseDataset):
    """Pairs of images with key points that correspond, for testing.

    Sub-classes implement :meth:`load_pairs`. Pairs are ordered by category,
    so that the images in use at a time are few. A sample is a dict of
    ``source`` and ``target`` (:class:`ImageRef`) and ``data_samples`` with
    ``source_points`` and ``target_points`` (n, 2), x before y,
    ``target_box`` [x1, y1, x2, y2], all in pixels of the original images, and
    ``category``, ``source_path`` and ``target_path``. Collate with
    ``pseudo_collate``.

    Args:
        data_root (str): Folder of the data set.
        pipeline (Sequence): Prepares one image; see :class:`ImageRef`.
        categories (Sequence[str], optional): Keep these only. Defaults to
            None, all.
        **kwargs: Other arguments of mmengine's ``BaseDataset``, such as
            ``indices``.

    Raises:
        FileNotFoundError: If an image of a pair is missing.
        ValueError: If a pair has no key points, not the same number in both
            images, or one outside its image, or a category is unknown. The
            message names the file.
    """

    METAINFO: dict = {}

    def __init__(
        self,
        data_root: str,
        pipeline: Sequence[dict | Callable] = (),
        categories: Sequence[str] | None = None,
        **kwargs,
    ) -> None:
        root = os.path.expanduser(data_root)
        if not os.path.isdir(root):
            raise FileNotFoundError(
                f"'{root}' does not exist; data_root must be the folder of "
                f'the data set.'
            )
        if isinstance(categories, str):
            raise ValueError(
                f'categories must be a list of names, got {categories!r}.'
            )
        self.categories = categories
        self._sizes: dict[str, tuple[int, int]] = {}
        self._found: set[str] = set()
        kwargs.setdefault('test_mode', True)
        super().__init__(data_root=root, pipeline=list(pipeline), **kwargs)

    def load_pairs(self) -> list[dict[str, Any]]:
        """Read the pairs.

        Returns:
            list[dict]: With ``source`` and ``target`` (paths), ``category``,
            ``source_points`` and ``target_points`` (n x 2 numbers),
            ``target_box`` (4 numbers, or None for the box of the target's
            points), ``annotation`` (file that says so), and maybe
            ``source_size`` and ``target_size`` (width, height).
        """
        raise NotImplementedError

    def load_data_list(self) -> list[dict]:
        """Read, choose and check the pairs."""
        pairs = self.load_pairs()
        known = self._metainfo.get('classes')
        names = sorted({p['category'] for p in pairs})
        if self.categories is not None:
            pairs = self._choose(pairs, names)
        for pair in pairs:
            if known and pair['category'] not in known:
                raise ValueError(
                    f"category {pair['category']!r} in '{pair['annotation']}' "
                    f'is unknown. {suggest(pair["category"], known)}'
                )
        if not pairs:
            raise ValueError(
                f"'{self.data_root}' has no pair that fits the choice."
            )
        pairs = [self._checked(pair) for pair in pairs]
        if not known:
            self._metainfo['classes'] = tuple(names)
        return sorted(pairs, key=lambda pair: pair['category'])

    def _choose(self, pairs: list[dict], names: list[str]) -> list[dict]:
        for name in self.categories:
            if name not in names:
                raise ValueError(
                    f"category {name!r} has no pair in '{self.data_root}'. "
                    f'{suggest(str(name), names)}'
                )
        return [p for p in pairs if p['category'] in self.categories]

    def _checked(self, pair: dict) -> dict:
        """A pair with arrays in the place of lists, or an error."""
        pair = dict(pair)
        where = pair['annotation']
        for side in ('source', 'target'):
            path = pair[side]
            self._check_exists(path, where)
            size = pair.get(f'{side}_size') or self._image_size(path, where)
            pair[f'{side}_size'] = tuple(map(int, size))
            pair[f'{side}_points'] = check_points(
                pair[f'{side}_points'], size, f"{side} '{path}'", where
            )
        numbers = [len(pair[f'{s}_points']) for s in ('source', 'target')]
        if numbers[0] != numbers[1]:
            raise ValueError(
                f"'{where}': {numbers[0]} key points in the source "
                f"'{pair['source']}', but {numbers[1]} in the target "
                f"'{pair['target']}'."
            )
        box = pair['target_box']
        if box is None:
            points = pair['target_points']
            box = [*points.min(0), *points.max(0)]
        pair['target_box'] = check_box(box, where)
        return pair

    def _check_exists(self, path: str, where: str) -> None:
        if path not in self._found:
            if not os.path.isfile(path):
                raise missing_image(path, where)
            self._found.add(path)

    def _image_size(self, path: str, where: str) -> tuple[int, int]:
        if path not in self._sizes:
            self._sizes[path] = image_size(path, where)
        return self._sizes[path]

    def prepare_data(self, idx: int) -> dict:
        """One pair; its images are read later, by who needs them."""
        pair = self.get_data_info(idx)
        where = pair['annotation']
        sample = BaseDataElement(
            metainfo=dict(
                category=pair['category'],
                source_path=pair['source'],
                target_path=pair['target'],
                target_box=pair['target_box'],
                sample_idx=pair['sample_idx'],
            ),
            source_points=pair['source_points'],
            target_points=pair['target_points'],
        )
        images = {
            side: ImageRef(
                pair[side], self.pipeline, pair[f'{side}_size'], where
            )
            for side in ('source', 'target')
        }
        return dict(**images, data_samples=sample)


def check_points(
    points: Any, size: tuple[int, int], what: str, where: str
) -> np.ndarray:
    """Points as a float64 array (n, 2).

    Args:
        points (Any): n x 2 numbers, x before y.
        size (tuple[int, int]): Width and height of the image. A point may lie
            on its border, x = width.
        what (str): Which image, for messages.
        where (str): File that holds the points, for messages.

    Raises:
        ValueError: No points, not two numbers each, or one is outside.
    """
    try:
        array = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.zeros((0, 0, 0))
    if array.shape in ((0,), (0, 2)):
        raise ValueError(f"'{where}' has no key points for the {what}.")
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(
            f"'{where}': key points of the {what} must be pairs of numbers "
            f'x, y.'
        )
    inside = (array >= 0) & (array <= np.asarray(size))
    if not inside.all():
        x, y = array[np.flatnonzero(~inside.all(1))[0]]
        raise ValueError(
            f"'{where}': key point ({x:g}, {y:g}) is outside the {what} of "
            f'{size[0]} x {size[1]} pixels.'
        )
    return array


def check_box(box: Any, where: str) -> np.ndarray:
    """A box [x1, y1, x2, y2] as a float64 array.

    Raises:
        ValueError: It is no box, or has no extent.
    """
    try:
        array = np.asarray(box, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.shape != (4,) or not np.isfinite(array).all():
        raise ValueError(
            f"'{where}': the target's box must be four numbers x1, y1, x2, "
            f'y2, got {box}.'
        )
    sides = array[2:] - array[:2]
    if sides.min() < 0 or sides.max() == 0:
        raise ValueError(
            f"'{where}': the target's box {array.tolist()} has no extent; "
            f'thresholds follow from it, so give the box of the object.'
        )
    return array
