"""How local attention is: distance, and mass on an object."""

import numpy as np
import torch
from torch import Tensor


def attention_distance(weights: Tensor, grid: tuple[int, int]) -> Tensor:
    """Mean distance from a patch to what it attends to.

    Distances between patch centres, in patches, weighted by the attention
    among patches alone and averaged over the patches that ask, as in the
    ViT paper (Dosovitskiy et al., ICLR 2021, Appendix D.7).

    Args:
        weights (Tensor): Patch to patch (..., N, N), rows need not sum to 1.
        grid (tuple[int, int]): h and w, h * w = N.

    Returns:
        Tensor: (...).

    Raises:
        ValueError: The grid has another number of patches.
    """
    rows, columns = grid
    if weights.shape[-2:] != (rows * columns,) * 2:
        raise ValueError(
            f'weights must be (..., {rows * columns}, {rows * columns}) for '
            f'a grid of {grid}, got {tuple(weights.shape)}.'
        )
    place = torch.cartesian_prod(
        torch.arange(rows, dtype=weights.dtype),
        torch.arange(columns, dtype=weights.dtype),
    ).to(weights.device)
    distance = torch.cdist(place.view(-1, 2), place.view(-1, 2))
    weights = weights / weights.sum(-1, keepdim=True)
    return (weights * distance).sum(-1).mean(-1)


def attention_mass(weights: Tensor, cover: Tensor) -> Tensor:
    """Share of the attention to patches that falls on an object.

    Args:
        weights (Tensor): (..., N), rows need not sum to 1.
        cover (Tensor): Share of each patch that the object covers, (N,); it
            is moved to where the weights are.

    Returns:
        Tensor: (...), from 0 to 1.
    """
    return (weights * cover.to(weights.device)).sum(-1) / weights.sum(-1)


def patch_cover(mask: np.ndarray, grid: tuple[int, int]) -> Tensor:
    """Share of each patch that a mask covers.

    Args:
        mask (np.ndarray): Boolean (H, W).
        grid (tuple[int, int]): h and w; they divide H and W.

    Returns:
        Tensor: float32 (h * w,).

    Raises:
        ValueError: The grid does not divide the mask.
    """
    height, width = mask.shape
    rows, columns = grid
    if height % rows or width % columns:
        raise ValueError(
            f'grid {grid} must divide the mask, got {height} x {width}.'
        )
    blocks = mask.reshape(rows, height // rows, columns, width // columns)
    return torch.from_numpy(blocks.mean((1, 3), dtype=np.float32).reshape(-1))
