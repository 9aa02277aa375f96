"""Nearest neighbours of single points between two grids of patch tokens.

Positions are in **cells**: (x, y) in [0, w] x [0, h], the edges of the grid of
patches; patch (row i, column j) has its centre at (j + 0.5, i + 0.5).
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

# Similarity maps are interpolated so many pixels at a time (16 MB).
_MAX_PIXELS = 2**22

_EPS = 1e-12


@dataclass
class ImageFeatures:
    """Patch tokens of one image, and what leads back to its pixels.

    Attributes:
        tokens (Tensor): (C, h, w), float32; L2-normalised unless the read-out
            takes the cosine at pixels.
        size (tuple[int, int]): Height and width of the network's input.
        cell (tuple[float, float]): Width and height of a patch in pixels of
            the original image.
        image_size (tuple[int, int]): Width and height of the original image.
        norms (Tensor, optional): :func:`pixel_norms`, where they are needed.
    """

    tokens: Tensor
    size: tuple[int, int]
    cell: tuple[float, float]
    image_size: tuple[int, int]
    norms: Tensor | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.tokens.shape[-2], self.tokens.shape[-1]

    @property
    def num_bytes(self) -> int:
        """Memory of the tensors."""
        return self.tokens.nbytes + (
            0 if self.norms is None else self.norms.nbytes
        )


def read_at(tokens: Tensor, cells: Tensor) -> Tensor:
    """Read tokens bilinearly.

    Args:
        tokens (Tensor): (C, h, w).
        cells (Tensor): Positions (n, 2) in cells, wherever the tokens are.
            Outside the centres of the outermost patches, as on the border of
            the image, the nearest patches are read.

    Returns:
        Tensor: (n, C), where the tokens are.
    """
    last = cells.new_tensor([tokens.shape[-1] - 1, tokens.shape[-2] - 1])
    index = torch.minimum((cells - 0.5).clamp(min=0), last)
    low = index.floor()
    high = torch.minimum(low + 1, last)
    share = (index - low).to(tokens.dtype)  # first: not all GPUs have float64
    x0, y0 = low.long().to(tokens.device).unbind(1)
    x1, y1 = high.long().to(tokens.device).unbind(1)
    fx, fy = share.to(tokens.device).unbind(1)
    top = tokens[:, y0, x0] * (1 - fx) + tokens[:, y0, x1] * fx  # (C, n)
    bottom = tokens[:, y1, x0] * (1 - fx) + tokens[:, y1, x1] * fx
    return (top * (1 - fy) + bottom * fy).t()


@lru_cache(maxsize=64)
def interpolation(number: int, size: int, device: torch.device) -> Tensor:
    """Weights (size, number) of linear interpolation, float32.

    Those of ``torch.nn.functional.interpolate`` with
    ``align_corners=False``. At the ends a row is exactly one 1, so that
    pixels beyond the last centre are exactly equal.
    """
    position = (torch.arange(size, dtype=torch.float64) + 0.5) / size * number
    index = (position - 0.5).clamp(0, number - 1)
    low = index.floor()
    share = index - low
    weights = torch.zeros(size, number, dtype=torch.float64)
    rows = torch.arange(size)
    weights[rows, low.long()] = 1 - share
    weights[rows, (low.long() + 1).clamp(max=number - 1)] += share
    return weights.to(device=device, dtype=torch.float32)


def pixel_norms(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """L2 norms of bilinearly interpolated tokens, without interpolating them.

    A pixel's feature is a weighted sum of four tokens; its squared norm is
    made of products of neighbouring tokens alone.

    Args:
        tokens (Tensor): (C, h, w).
        size (tuple[int, int]): Height H and width W of the map.

    Returns:
        Tensor: (H, W).
    """
    own = tokens.square().sum(0)
    below = (tokens[:, :-1] * tokens[:, 1:]).sum(0)
    right = (tokens[:, :, :-1] * tokens[:, :, 1:]).sum(0)
    across = (tokens[:, :-1, :-1] * tokens[:, 1:, 1:]).sum(0)
    across += (tokens[:, :-1, 1:] * tokens[:, 1:, :-1]).sum(0)
    (one_y, two_y), (one_x, two_x) = (
        (rows.square(), 2 * rows[:, :-1] * rows[:, 1:])
        for rows in (
            interpolation(number, length, tokens.device)
            for number, length in zip(own.shape, size, strict=True)
        )
    )
    columns = one_y @ own + two_y @ below  # (H, w)
    between = one_y @ right + two_y @ across / 2  # (H, w - 1)
    squared = columns @ one_x.t() + between @ two_x.t()
    return squared.clamp_(min=_EPS).sqrt_()


def best_pixels(
    maps: Tensor, size: tuple[int, int], norms: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The best pixel of bilinearly interpolated similarity maps.

    Interpolating and taking products with a token are linear, so n maps (n,
    h, w) stand for the whole interpolated features (C, H, W). Of equal pixels
    the first one is taken, row by row.

    Args:
        maps (Tensor): Similarities with the tokens, (n, h, w).
        size (tuple[int, int]): H and W to interpolate to.
        norms (Tensor, optional): Norms (H, W) to divide by: a cosine at each
            pixel. Defaults to None.

    Returns:
        tuple[Tensor, Tensor]: Centres of the pixels in cells (n, 2), float64
        on the CPU, and the maxima (n,).
    """
    (height, width), (h, w) = size, maps.shape[1:]
    rows = interpolation(h, height, maps.device)
    columns = interpolation(w, width, maps.device).t()
    values, indices = [], []
    for part in maps.split(max(1, _MAX_PIXELS // (height * width))):
        full = rows @ part @ columns  # (m, H, W)
        if norms is not None:
            full /= norms
        value, index = full.flatten(1).max(1)
        values.append(value)
        indices.append(index)
    pixels = _centres(torch.cat(indices), width)
    return pixels * pixels.new_tensor([w / width, h / height]), torch.cat(
        values
    )


def best_patches(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The centre of the best patch of similarity maps (n, h, w), in cells."""
    value, index = maps.flatten(1).max(1)
    return _centres(index, maps.shape[-1]), value


def _centres(index: Tensor, width: int) -> Tensor:
    """Centres (n, 2) of flat places in a map, float64.

    On the CPU: Apple's GPUs have no float64.
    """
    index = index.cpu()
    return torch.stack([index % width, index // width], 1).double() + 0.5


READOUTS = ('bilinear-argmax', 'bilinear-cosine', 'patch-centre')


def locate(
    queries: Tensor, image: ImageFeatures, readout: str
) -> tuple[Tensor, Tensor]:
    """Where in ``image`` the queries (n, C) are found.

    Returns:
        tuple[Tensor, Tensor]: Positions (n, 2) in cells, float64 on the CPU,
        and the cosines (n,).
    """
    queries = torch.nn.functional.normalize(queries, dim=1, eps=_EPS)
    maps = queries @ image.tokens.flatten(1)  # (n, h * w)
    maps = maps.unflatten(1, image.grid)
    if readout == 'patch-centre':
        return best_patches(maps)
    return best_pixels(maps, image.size, image.norms)


def match_points(
    source: ImageFeatures,
    target: ImageFeatures,
    cells: Tensor,
    readout: str,
    mutual_radius: float | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Find points of the source in the target.

    Args:
        source (ImageFeatures): The image that the points are in.
        target (ImageFeatures): The image to search.
        cells (Tensor): Points (n, 2) in cells of the source, on the CPU.
        readout (str): One of ``READOUTS``.
        mutual_radius (float, optional): A match is mutual if, searched for in
            the source, it comes back this near, in cells (the larger of the
            differences in x and y). Defaults to None: not searched back.

    Returns:
        tuple: Positions (n, 2) in cells of the target on the CPU, cosines
        (n,), and which matches are mutual (n,), bool on the CPU or None.
    """
    found, cosine = locate(read_at(source.tokens, cells), target, readout)
    if mutual_radius is None:
        return found, cosine, None
    back, _ = locate(read_at(target.tokens, found), source, readout)
    return found, cosine, (back - cells).abs().amax(1) <= mutual_radius
