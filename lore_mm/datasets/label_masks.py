"""Masks with a class for each pixel: read, checked, and looked over."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import MMLogger

from lore_mm.registry import TRANSFORMS

from .davis_masks import VOID, read_mask
from .sampling import seeded_order
from .split_folders import list_names

_MODES = ('P', 'L', '1', 'I;16', 'I;16B', 'I')
_LOOK_AT = 500  # masks; some seconds


def read_labels(
    path: str | Path, num_classes: int, reduce_zero_label: bool = False
) -> np.ndarray:
    """Read a mask whose pixels are labels of classes.

    Args:
        path (str | Path): A PNG with a palette, or gray with the labels as
            values.
        num_classes (int): How many classes there are.
        reduce_zero_label (bool): Whether 0 is void in the file, and 1 the
            first class. Defaults to False.

    Returns:
        np.ndarray: Labels (H, W), uint8, from 0; 255 is void.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, holds colours, or a label is none of
            the classes.
    """
    mask, mode = read_mask(path)
    if mode not in _MODES:
        raise ValueError(
            f"mask '{path}' must hold labels: a palette PNG (mode P) or gray "
            f'(mode L), got mode {mode}; save it with the label of each pixel '
            'as its value.'
        )
    first = int(reduce_zero_label)
    last = num_classes - 1 + first
    wrong = mask[(mask > last) & (mask != VOID)]
    if wrong.size:
        raise ValueError(
            f"mask '{path}' has label {wrong.max()}; there are {num_classes} "
            f'classes, so labels go from {first} to {last}, and {VOID} is '
            f'void. Mend the mask, or the list of classes.'
        )
    mask = mask.astype(np.uint8)
    if reduce_zero_label:
        mask[mask == 0] = VOID
        mask[mask != VOID] -= 1
    return mask


@TRANSFORMS.register_module()
class LoadMask(BaseTransform):
    """Load the mask of an image of :class:`MaskFolder`, and check it.

    Takes the place of mmseg's ``LoadAnnotations``, which takes labels that
    are no class and colours as they come and does not name damaged files.
    Without ``seg_map_path``, an image alone, nothing is loaded.

    Required Keys:

    - seg_map_path
    - num_classes
    - reduce_zero_label
    - seg_fields
    - ori_shape (optional)

    Added Keys:

    - gt_seg_map (np.uint8, shape (H, W))

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: See :func:`read_labels`; or the mask has another size than
            the image.
    """

    def transform(self, results: dict) -> dict:
        """Add ``gt_seg_map`` to ``results``."""
        path = results.get('seg_map_path')
        if path is None:
            return results
        mask = read_labels(
            path, results['num_classes'], results['reduce_zero_label']
        )
        shape = tuple(results.get('ori_shape', mask.shape))
        if mask.shape != shape:
            (height, width), (rows, columns) = mask.shape, shape
            raise ValueError(
                f"mask '{path}' has {width} x {height} pixels, its image "
                f'{columns} x {rows}; save it in the size of the image, after '
                'EXIF rotation.'
            )
        results['gt_seg_map'] = mask
        results['seg_fields'].append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def check_masks(
    paths: Sequence[str | Path],
    classes: Sequence[str],
    reduce_zero_label: bool = False,
    training: bool = False,
) -> None:
    """Refuse masks that mark objects with 255; name classes without a pixel.

    Masks are read until all classes were seen, and no more than 500 unless
    those hold nothing but 0 and 255.

    Args:
        paths (Sequence[str | Path]): The masks.
        classes (Sequence[str]): Names of the classes.
        reduce_zero_label (bool): See :func:`read_labels`. Defaults to False.
        training (bool): Whether to warn of classes without a pixel, where all
            masks were read. Defaults to False.

    Raises:
        ValueError: All masks hold 0 and 255 alone, or see
            :func:`read_labels`.
    """
    blank = {VOID} if reduce_zero_label else {0, VOID}
    seen: set[int] = set()
    # Neighbours are often alike: frames of one video, photos of one place.
    for count, i in enumerate(seeded_order([str(p) for p in paths], 0)):
        enough = len(seen - {VOID}) == len(classes)
        if enough or (count >= _LOOK_AT and not seen <= blank):
            return
        mask = read_labels(paths[i], len(classes), reduce_zero_label)
        seen |= set(np.flatnonzero(np.bincount(mask.ravel())).tolist())
    if VOID in seen and seen <= blank and len(classes) > 1:
        raise ValueError(
            f"all {len(paths)} masks, such as '{paths[0]}', hold nothing but "
            f'0 and {VOID}, and {VOID} is void, no class: save the label of '
            'the class in its place, 1 for the second.'
        )
    unseen = [name for i, name in enumerate(classes) if i not in seen]
    if unseen and training:
        MMLogger.get_current_instance().warning(
            f'no pixel of {len(paths)} training masks has class '
            f'{list_names(unseen)}: it cannot be learned. Are the labels of '
            'the masks in the order of the classes?'
        )
