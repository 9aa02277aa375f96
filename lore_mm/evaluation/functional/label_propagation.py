"""Carry the first frame's mask through a video by patch affinity.

The protocol of DINO (Caron et al., ICCV 2021), after Jabri et al., "Space-time
correspondence as a contrastive random walk", NeurIPS 2020. Affinities are
formed block by block inside the window only, never for all pairs of cells.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .affinity import WINDOW_SHAPES, Block, build_window, top_values
from .label_maps import ENLARGES, SHRINKS, enlarge_maps, shrink_mask


class LabelPropagation:
    """Carries soft labels from frame to frame.

    A cell takes the labels of the cells most like it, among those in a window
    around it in frame 0 and in the last few frames, weighted by
    ``softmax(cosine / temperature)``. Equal affinities at the end of the top
    k are all kept, as in the reference.

    Args:
        context (int): Last frames that are looked at beside frame 0.
            Defaults to 7.
        window (float, optional): How far the window reaches, in cells; None
            for no window. Defaults to 12.
        window_shape (str): ``square`` or ``circle``. Defaults to ``square``.
        window_first (bool): Whether the window holds for frame 0 as well.
            Defaults to True.
        top_k (int): Cells that are kept, over all frames together; all where
            there are fewer. Defaults to 5.
        temperature (float): Defaults to 0.1.
        pad_context (bool): Fill a context that is not full yet with copies of
            frame 0. Defaults to False.
        shrink (str): How the first mask comes to the grid:
            ``nearest`` or ``bilinear``. Defaults to ``nearest``.
        enlarge (str): How labels come to pixels: ``patch_bilinear``,
            ``bilinear`` or ``nearest``. Defaults to ``patch_bilinear``.
        min_max (bool): Stretch each enlarged label map to 0..1. Defaults to
            True.

    Raises:
        ValueError: A value is out of range or unknown.
    """

    def __init__(
        self,
        context: int = 7,
        window: float | None = 12,
        window_shape: str = 'square',
        window_first: bool = True,
        top_k: int = 5,
        temperature: float = 0.1,
        pad_context: bool = False,
        shrink: str = 'nearest',
        enlarge: str = 'patch_bilinear',
        min_max: bool = True,
    ) -> None:
        _check('context', context, context >= 0, 'at least 0')
        _check('window', window, window is None or window >= 0, 'None or >= 0')
        _check('top_k', top_k, top_k >= 1, 'at least 1')
        _check('temperature', temperature, temperature > 0, 'above 0')
        for name, value, choices in (
            ('window_shape', window_shape, WINDOW_SHAPES),
            ('shrink', shrink, SHRINKS),
            ('enlarge', enlarge, ENLARGES),
        ):
            _check(name, value, value in choices, f'one of {choices}')
        self.context = context
        self.window = window
        self.window_shape = window_shape
        self.window_first = window_first
        self.top_k = top_k
        self.temperature = temperature
        self.pad_context = pad_context
        self.shrink = shrink
        self.enlarge = enlarge
        self.min_max = min_max
        self._features: Tensor | None = None  # (1 + context, h, w, C)
        self._labels: Tensor | None = None  # (1 + context, h * w, K)
        self._seen = 0

    @torch.no_grad()
    def start(self, features: Tensor, mask: np.ndarray) -> None:
        """Begin a video.

        Args:
            features (Tensor): Patch tokens of frame 0, (C, h, w).
            mask (np.ndarray): Its ids (H, W), integers, 0 is background.

        Raises:
            ValueError: A shape is wrong, or the features are not finite.
        """
        mask = np.asarray(mask)
        if mask.ndim != 2 or mask.dtype.kind not in 'iub':
            raise ValueError(
                f'mask must hold integers (H, W), got {mask.dtype} of the '
                f'shape {mask.shape}.'
            )
        features = _normalised(features)
        grid = tuple(features.shape[:2])
        labels = shrink_mask(mask, grid, self.shrink)
        labels = labels.flatten(1).T.to(features.device)
        size = 1 + self.context
        self._features = features.new_empty(size, *features.shape)
        self._labels = labels.new_empty(size, *labels.shape)
        used = size if self.pad_context else 1
        self._features[:used], self._labels[:used] = features, labels
        self._seen, self._size = 1, mask.shape

    @torch.no_grad()
    def step(self, features: Tensor) -> Tensor:
        """Soft labels of the next frame.

        Args:
            features (Tensor): Its patch tokens (C, h, w).

        Returns:
            Tensor: (K, h, w), one map per id.

        Raises:
            ValueError: :meth:`start` was not called, or the shape is not that
                of frame 0.
        """
        if self._features is None:
            raise ValueError('no video was begun; call start() first.')
        features = _normalised(features)
        if features.shape != self._features.shape[1:]:
            raise ValueError(
                f'all frames must have the features of frame 0, (h, w, C) = '
                f'{tuple(self._features.shape[1:])}, got '
                f'{tuple(features.shape)}.'
            )
        grid = tuple(features.shape[:2])
        labels = self._labels.new_empty(*grid, self._labels.shape[-1])
        blocks = build_window(
            grid, self.window, self.window_shape, features.device
        )
        for block in blocks:
            queries = features[block.queries].flatten(0, 1)
            found = self._gather(*self._affinity(queries, block))
            labels[block.queries] = found.view(labels[block.queries].shape)
        self._remember(features, labels.flatten(0, 1))
        return labels.movedim(-1, 0)

    def to_mask(self, maps: Tensor, patch_size: int) -> np.ndarray:
        """Ids (H, W) of soft labels (K, h, w), at the first mask's size."""
        return enlarge_maps(
            maps, self._size, self.enlarge, patch_size, self.min_max
        )

    def _remember(self, features: Tensor, labels: Tensor) -> None:
        """Put a frame in the place of the oldest but frame 0."""
        if self.context:
            slot = 1 + (self._seen - 1) % self.context
            self._features[slot], self._labels[slot] = features, labels
        self._seen += 1

    def _affinity(
        self, queries: Tensor, block: Block
    ) -> tuple[Tensor, Tensor]:
        """Cosines (queries, keys), -inf outside, and each key's cell."""
        size = len(self._features)
        used = size if self.pad_context else min(self._seen, size)
        frames = self._features[:used]
        num_cells = frames.shape[1] * frames.shape[2]
        keys = frames[(slice(None), *block.keys)]
        offsets = num_cells * torch.arange(used, device=frames.device)
        if not self.window_first:
            keys, offsets = keys[1:], offsets[1:]
        cells = (offsets[:, None] + block.cells).flatten()
        cosine = queries @ keys.flatten(0, 2).T
        cosine.view(len(queries), -1, len(block.cells)).masked_fill_(
            block.outside[:, None], -torch.inf
        )
        if not self.window_first:
            first = torch.arange(num_cells, device=frames.device)
            cells = torch.cat([first, cells])
            cosine = torch.cat(
                [queries @ frames[0].flatten(0, 1).T, cosine], dim=1
            )
        return cosine, cells

    def _gather(self, cosine: Tensor, cells: Tensor) -> Tensor:
        """Labels (queries, K) of the top k, weighted."""
        labels = self._labels.flatten(0, 1)
        top_k = min(self.top_k, cosine.shape[1])  # small frames have fewer
        values, index = top_values(cosine, top_k + 1)
        tied = values[:, top_k:] == values[:, top_k - 1, None]
        values, index = values[:, :top_k], index[:, :top_k]
        weights = F.softmax(values / self.temperature, dim=1)
        found = (weights[..., None] * labels[cells[index]]).sum(1)
        rows = tied.any(1).nonzero().flatten()
        if len(rows):
            kept = cosine[rows]
            kept.masked_fill_(kept < values[rows, -1:], -torch.inf)
            weights = F.softmax(kept / self.temperature, dim=1)
            found[rows] = weights @ labels[cells]
        return found


def iter_masks(
    features: Iterable[Tensor],
    first_mask: np.ndarray,
    patch_size: int,
    **options,
) -> Iterator[np.ndarray]:
    """As :func:`propagate_labels`, one mask after the other."""
    propagation = LabelPropagation(**options)
    for index, each in enumerate(features):
        if index == 0:
            propagation.start(each, first_mask)
            yield np.asarray(first_mask)
        else:
            yield propagation.to_mask(propagation.step(each), patch_size)


def propagate_labels(
    features: Tensor | Iterable[Tensor],
    first_mask: np.ndarray,
    patch_size: int,
    **options,
) -> np.ndarray:
    """Masks of all frames from the mask of the first.

    Args:
        features (Tensor | Iterable[Tensor]): Patch tokens (T, C, h, w), or
            (C, h, w) frame by frame, of which only the context is kept.
        first_mask (np.ndarray): Ids of frame 0 (H, W); 0 is background.
        patch_size (int): Pixels that a cell stands for, in the resized frame.
        **options: See :class:`LabelPropagation`.

    Returns:
        np.ndarray: Ids (T, H, W); the first is ``first_mask``.

    Raises:
        ValueError: An option, a shape or a value is wrong; there is no frame.
    """
    masks = list(iter_masks(features, first_mask, patch_size, **options))
    if not masks:
        raise ValueError('features must hold at least one frame.')
    return np.stack(masks)


def _normalised(features: Tensor) -> Tensor:
    """(C, h, w) to (h, w, C) of length 1, float32.

    Raises:
        ValueError: The shape is wrong, or a value is not finite.
    """
    if features.ndim != 3:
        raise ValueError(
            f'features must be (C, h, w), got the shape '
            f'{tuple(features.shape)}.'
        )
    features = features.float().movedim(0, -1)
    if not features.isfinite().all():
        raise ValueError('features must be finite; a value is NaN or inf.')
    return F.normalize(features, dim=-1)


def _check(name: str, value: object, holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(f'{name} must be {rule}, got {value!r}.')
