"""From features of a backbone to one descriptor per image."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lore_mm.registry import MODELS

from .whitening import load_whitening

_POOLINGS = ('cls', 'mean', 'gem')
_GEM_FLOOR = 1e-6


@MODELS.register_module()
class RetrievalHead(nn.Module):
    """Pool features to descriptors, L2-normalise and, if wanted, whiten.

    It has nothing to train.

    Args:
        pooling (str): ``'cls'``: the CLS token; ``'mean'``: the mean patch
            token; ``'gem'``: generalised mean of the patch tokens, negative
            values cut off. Defaults to ``'cls'``, as in the paper.
        gem_p (float): Exponent of ``'gem'``. Defaults to 3.0.
        whitening (str, optional): File of
            :func:`~lore_mm.models.retrievers.save_whitening`, learnt on
            another set. Defaults to None, as in the paper.

    Raises:
        ValueError: ``pooling`` is unknown or ``gem_p`` not positive.
    """

    def __init__(
        self,
        pooling: str = 'cls',
        gem_p: float = 3.0,
        whitening: str | None = None,
    ) -> None:
        super().__init__()
        if pooling not in _POOLINGS:
            raise ValueError(
                f'pooling must be one of {_POOLINGS}, got {pooling!r}.'
            )
        if gem_p <= 0:
            raise ValueError(f'gem_p must be positive, got {gem_p}.')
        self.pooling = pooling
        self.gem_p = gem_p
        mean = projection = None
        if whitening is not None:
            mean, projection = map(torch.tensor, load_whitening(whitening))
        # not part of a checkpoint, which holds what was trained
        self.register_buffer('whitening_mean', mean, persistent=False)
        self.register_buffer('whitening', projection, persistent=False)

    @property
    def out_type(self) -> str:
        """The ``out_type`` of the backbone that the pooling reads."""
        return 'cls_token' if self.pooling == 'cls' else 'featmap'

    def pool(self, features: Sequence[Tensor]) -> Tensor:
        """One vector per image, not normalised.

        Args:
            features (Sequence[Tensor]): The last is read: (B, C) for
                ``'cls'``, else (B, C, h, w).

        Returns:
            Tensor: float32 (B, C).
        """
        tensor = features[-1].float()
        wanted = 2 if self.pooling == 'cls' else 4
        if tensor.ndim != wanted:
            raise ValueError(
                f'pooling {self.pooling!r} needs features with {wanted} '
                f'axes, got the shape {tuple(tensor.shape)}; set out_type='
                f'{self.out_type!r} in the backbone.'
            )
        if self.pooling == 'cls':
            return tensor
        if self.pooling == 'mean':
            return tensor.mean(dim=(2, 3))
        powers = tensor.clamp(min=_GEM_FLOOR).pow(self.gem_p)
        return powers.mean(dim=(2, 3)).pow(1 / self.gem_p)

    def forward(self, pooled: Tensor) -> Tensor:
        """Descriptors (B, D) of unit length from pooled vectors (B, C)."""
        descriptors = functional.normalize(pooled, dim=1)
        if self.whitening is None:
            return descriptors
        if pooled.shape[1] != len(self.whitening):
            raise ValueError(
                f'the whitening was learnt for {len(self.whitening)} '
                f'dimensions, the descriptors have {pooled.shape[1]}.'
            )
        white = (descriptors - self.whitening_mean) @ self.whitening
        return functional.normalize(white, dim=1)
