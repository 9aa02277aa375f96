"""Masks between the size of an image and the grid of its patches."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SHRINKS = ('nearest', 'bilinear')
ENLARGES = ('patch_bilinear', 'bilinear', 'nearest')


def resize_nearest(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize ids without mixing them, to the same pixels as Pillow does.

    Args:
        mask (np.ndarray): (H, W), any type.
        size (tuple[int, int]): New height and width.
    """
    rows, cols = (
        _nearest(old, new) for old, new in zip(mask.shape, size, strict=True)
    )
    return mask[rows[:, None], cols]


def _nearest(old: int, new: int) -> np.ndarray:
    """Index of the old pixel under the centre of each new one."""
    step = old / new
    # Summed up one by one as Pillow does, so that rounding is the same too.
    steps = np.full(new, step)
    steps[0] = step * 0.5
    return np.minimum(np.cumsum(steps).astype(np.intp), old - 1)


def shrink_mask(
    mask: np.ndarray, grid: tuple[int, int], how: str = 'nearest'
) -> Tensor:
    """One map per id on the grid of patches.

    Args:
        mask (np.ndarray): Ids (H, W); 0 is background.
        grid (tuple[int, int]): Height and width of the grid.
        how (str): ``nearest``: each cell has one id. ``bilinear``: maps of
            the whole mask are read at the cell's centre. Defaults to
            ``nearest``.

    Returns:
        Tensor: (max id + 1, h, w), float32, summing to 1 over the ids.

    Raises:
        ValueError: ``how`` is unknown, or an id is negative.
    """
    if how not in SHRINKS:
        raise ValueError(f'shrink must be one of {SHRINKS}, got {how!r}.')
    if mask.min() < 0:
        raise ValueError(f'mask must hold ids >= 0, got {mask.min()}.')
    ids = torch.arange(int(mask.max()) + 1)[:, None, None]
    if how == 'nearest':
        mask = resize_nearest(mask, grid)
    maps = (torch.from_numpy(mask.astype(np.int64)) == ids).float()
    if how == 'nearest':
        return maps
    return F.interpolate(
        maps[None], grid, mode='bilinear', align_corners=False
    )[0]


def enlarge_maps(
    maps: Tensor,
    size: tuple[int, int],
    how: str = 'patch_bilinear',
    patch_size: int = 1,
    min_max: bool = True,
) -> np.ndarray:
    """The id of each pixel from soft maps on the grid of patches.

    The maps are enlarged one after the other, so that memory does not grow
    with the number of objects.

    Args:
        maps (Tensor): (K, h, w), one map per id.
        size (tuple[int, int]): Height and width of the image.
        how (str): ``patch_bilinear``: bilinear by the patch size, arg-max,
            then nearest to ``size``. ``bilinear`` or ``nearest``: straight to
            ``size``, then arg-max.
        patch_size (int): For ``patch_bilinear``. Defaults to 1.
        min_max (bool): Stretch each enlarged map to 0..1, unless it is 0
            throughout. Defaults to True.

    Returns:
        np.ndarray: Ids (H, W): uint8, or int64 for more than 256 of them.

    Raises:
        ValueError: ``how`` is unknown.
    """
    if how not in ENLARGES:
        raise ValueError(f'enlarge must be one of {ENLARGES}, got {how!r}.')
    if how == 'patch_bilinear':
        new = tuple(side * patch_size for side in maps.shape[1:])
    else:
        new = tuple(size)
    mode = dict(mode='nearest')
    if how != 'nearest':
        mode = dict(mode='bilinear', align_corners=False)
    best = ids = None
    for index, each in enumerate(maps):
        wide = F.interpolate(each[None, None], new, **mode)[0, 0]
        if min_max:
            wide = _stretch(wide)
        if best is None:
            best, ids = wide, torch.zeros_like(wide, dtype=_id_type(maps))
            continue
        better = wide > best  # of equals the first
        best = torch.where(better, wide, best)
        ids.masked_fill_(better, index)
    return resize_nearest(ids.cpu().numpy(), size)


def _id_type(maps: Tensor) -> torch.dtype:
    return torch.uint8 if len(maps) <= 256 else torch.int64


def _stretch(values: Tensor) -> Tensor:
    """To 0..1, where there is a value above 0."""
    low, high = values.aminmax()
    if high <= 0:
        return values
    if high == low:
        # One id in the whole frame: DINO's 0 / 0 is the greatest there too.
        return torch.full_like(values, torch.inf)
    return (values - low) / (high - low)
