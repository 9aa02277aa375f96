"""Windows around the cells of a grid, and the search of the best matches."""

import math
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

WINDOW_SHAPES = ('square', 'circle')

# Queries of a block: few, so that not many keys outside the windows are looked
# at, but enough for the matrix product. Measured on a CPU.
_BLOCK_ROWS, _BLOCK_COLS = 6, 13
# Affinities whose maxima are looked at together in the search of the top k.
_STRIDE = 32
# Windows that are kept; one per size of the grid.
_MAX_WINDOWS = 4


class Block(NamedTuple):
    """Neighbouring queries and all the cells that their windows reach.

    Attributes:
        queries (tuple[slice, slice]): Rows and columns of the queries.
        keys (tuple[slice, slice]): Rows and columns of the keys.
        outside (Tensor): (queries, keys), True outside a query's window.
        cells (Tensor): Index of each key in its frame (keys,).
    """

    queries: tuple[slice, slice]
    keys: tuple[slice, slice]
    outside: Tensor
    cells: Tensor


@lru_cache(maxsize=_MAX_WINDOWS)
def build_window(
    grid: tuple[int, int],
    window: float | None,
    shape: str = 'square',
    device: torch.device | str = 'cpu',
) -> tuple[Block, ...]:
    """Blocks of a grid with their windows; built once per grid.

    Args:
        grid (tuple[int, int]): Height and width.
        window (float, optional): How far a window reaches, in cells. None is
            the whole grid.
        shape (str): ``square``: rows and columns up to ``window`` away;
            ``circle``: cells up to ``window`` away.
        device (torch.device | str): Defaults to ``'cpu'``.
    """
    height, width = grid
    reach = max(grid) if window is None else math.floor(window)
    blocks = []
    for row, col in product(
        range(0, height, _BLOCK_ROWS), range(0, width, _BLOCK_COLS)
    ):
        queries = (
            slice(row, min(row + _BLOCK_ROWS, height)),
            slice(col, min(col + _BLOCK_COLS, width)),
        )
        keys = tuple(
            slice(max(side.start - reach, 0), min(side.stop + reach, length))
            for side, length in zip(queries, grid, strict=True)
        )
        rows, cols = (
            torch.arange(q.start, q.stop, device=device)[:, None]
            - torch.arange(k.start, k.stop, device=device)
            for q, k in zip(queries, keys, strict=True)
        )
        rows, cols = rows[:, None, :, None].abs(), cols[None, :, None].abs()
        if window is None:
            far = (rows + cols) < 0
        elif shape == 'circle':
            far = rows**2 + cols**2 > window**2
        else:
            far = torch.maximum(rows, cols) > window
        cells = torch.arange(height * width, device=device).view(grid)
        blocks.append(
            Block(
                queries,
                keys,
                far.flatten(0, 1).flatten(1),
                cells[keys].flatten(),
            )
        )
    return tuple(blocks)


def top_values(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` largest of each row, as :func:`torch.topk` finds them.

    Looks for them only in the ``k`` groups of columns with the largest
    maxima, which hold them all.

    Args:
        values (Tensor): (rows, n).
        k (int): At most n are returned.

    Returns:
        tuple[Tensor, Tensor]: Values and column indices (rows, min(k, n)),
        largest first.
    """
    rows, n = values.shape
    groups = n // _STRIDE
    if groups <= k:
        return values.topk(min(k, n))
    # Column j + i * groups is the i-th of group j.
    head = values[:, : groups * _STRIDE].view(rows, _STRIDE, groups)
    best = head.amax(1).topk(k, sorted=False).indices
    steps = groups * torch.arange(_STRIDE, device=values.device)
    index = (best[:, None] + steps[:, None]).flatten(1)
    tail = torch.arange(groups * _STRIDE, n, device=values.device)
    index = torch.cat([index, tail.expand(rows, -1)], dim=1)
    found, place = values.gather(1, index).topk(k)
    return found, index.gather(1, place)
