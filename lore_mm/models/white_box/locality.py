"""Locality Interaction Network (LIN)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lore_mm.registry import MODELS

from .graph import knn_indices, neighbour_max
from .norm import LinearNorm

POOLS = ('mean', 'max', 'mean_max', 'max_min', 'outlier')
VARIANTS = ('grapher', 'max_relative')


@MODELS.register_module()
class LocalityInteractionNetwork(nn.Module):
    """Graph interaction among the patches of an image.

    Two variants:

    - ``grapher`` (``released``): one Vision GNN block, a Grapher and an FFN,
      a norm after each 1x1 convolution (Han et al., NeurIPS 2022);
    - ``max_relative`` (``paper``): LORE, Eqs. (3)-(4), without norms.

    Args:
        embed_dims (int): Width ``d`` of the patch tokens.
        variant (str): ``grapher`` or ``max_relative``.
        k (int): Neighbours per patch, itself included. Defaults to 9.
        norm (str): ``batch``, ``layer`` or ``none``, for ``grapher``.
        groups (int): Groups of the graph convolution. Defaults to 4.
        ffn_ratio (int): Hidden width of the FFN over ``d``. Defaults to 4.
        gain_init (float): First gain of each residual branch; 0 lets Ê start
            as the tokens read. Defaults to 1.

    Raises:
        ValueError: ``variant`` unknown or ``k`` below 1.
    """

    def __init__(
        self,
        embed_dims: int,
        variant: str = 'grapher',
        k: int = 9,
        norm: str = 'batch',
        groups: int = 4,
        ffn_ratio: int = 4,
        gain_init: float = 1.0,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(
                f'variant must be one of {VARIANTS}, got {variant!r}.'
            )
        if k < 1:
            raise ValueError(f'k must be at least 1, got {k}.')
        self.embed_dims = embed_dims
        self.variant = variant
        self.k = k
        dims = embed_dims
        if variant == 'grapher':
            self.conv_in = LinearNorm(dims, dims, norm=norm)
            self.conv_graph = LinearNorm(
                2 * dims, 2 * dims, groups=groups, norm=norm
            )
            self.conv_out = LinearNorm(2 * dims, dims, norm=norm)
            self.ffn_in = LinearNorm(dims, ffn_ratio * dims, norm=norm)
            self.ffn_out = LinearNorm(ffn_ratio * dims, dims, norm=norm)
        else:
            self.ffn_in = LinearNorm(dims, dims, norm='none', bias=False)
            self.ffn_out = LinearNorm(dims, dims, norm='none', bias=False)
        for branch in self.branches():
            last = branch.weight if norm_free(branch) else branch.norm.weight
            last.data.mul_(gain_init)

    def branches(self) -> tuple[LinearNorm, ...]:
        """The last map of each residual branch."""
        if self.variant == 'grapher':
            return self.conv_out, self.ffn_out
        return (self.ffn_out,)

    def forward(self, tokens: Tensor) -> Tensor:
        """Interacted tokens Ê (B, N, d) of patch tokens (B, N, d)."""
        hidden, residual, _ = self._before_last(tokens)
        return self.ffn_out(hidden) + residual

    def pooled(
        self, tokens: Tensor, pool: str = 'mean', top: int = 3
    ) -> Tensor:
        """Ê pooled over patches: (B, d), or (B, 2 d) for a pair of pools.

        A mean exchanges places with the last linear map where that map is
        followed by nothing but a constant affine norm, so one row per image
        is mapped instead of N.

        Args:
            tokens (Tensor): Patch tokens (B, N, d).
            pool (str): ``mean`` (LORE, Eq. (8)), ``max``, ``mean_max`` or
                ``max_min`` (both, concatenated), or ``outlier``: the mean
                over the ``top`` patches least like their neighbours.
            top (int): Patches that ``outlier`` keeps. Defaults to 3.
        """
        hidden, residual, distance = self._before_last(tokens)
        if pool == 'mean' and self.ffn_out.can_fold():
            return self.ffn_out(hidden.mean(1)) + residual.mean(1)
        return pool_tokens(
            self.ffn_out(hidden) + residual, pool, distance, top
        )

    def forward_pooled(
        self, tokens: Tensor, pool: str = 'mean', top: int = 3
    ) -> tuple[Tensor, Tensor]:
        """Both :meth:`forward` and :meth:`pooled`, for training."""
        hidden, residual, distance = self._before_last(tokens)
        tokens = self.ffn_out(hidden) + residual
        return tokens, pool_tokens(tokens, pool, distance, top)

    def _before_last(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Input of the last map, the residual, distances to neighbours."""
        if self.variant == 'max_relative':
            indices, distance = knn_indices(tokens, self.k, normalize=False)
            # max_j (e_i - e_j) = e_i - min_j e_j = e_i + max_j (-e_j)
            relative = tokens + neighbour_max(-tokens, indices)  # Eq. (3)
            return F.relu(self.ffn_in(relative)), tokens, distance
        nodes = self.conv_in(tokens)
        indices, distance = knn_indices(nodes, self.k)
        relative = neighbour_max(nodes, indices) - nodes
        joint = torch.stack([nodes, relative], dim=-1).flatten(
            -2
        )  # (B, N, 2d)
        tokens = self.conv_out(F.gelu(self.conv_graph(joint))) + tokens
        return F.gelu(self.ffn_in(tokens)), tokens, distance


def norm_free(layer: LinearNorm) -> bool:
    """Whether a map has no norm whose gain could scale it."""
    return isinstance(layer.norm, nn.Identity)


def pool_tokens(
    tokens: Tensor, pool: str, distance: Tensor, top: int = 3
) -> Tensor:
    """Pool (B, N, d) over patches; see :meth:`pooled` for the kinds.

    ``distance`` (B, N, K) are squared distances to the K neighbours.

    Raises:
        ValueError: ``pool`` is unknown.
    """
    if pool == 'mean':
        return tokens.mean(1)
    if pool == 'max':
        return tokens.amax(1)
    if pool == 'mean_max':
        return torch.cat([tokens.mean(1), tokens.amax(1)], dim=-1)
    if pool == 'max_min':
        return torch.cat([tokens.amax(1), tokens.amin(1)], dim=-1)
    if pool == 'outlier':
        unlike = distance.mean(-1)  # (B, N)
        index = unlike.topk(min(top, tokens.shape[1]), dim=1).indices
        picked = tokens.gather(
            1, index[..., None].expand(-1, -1, tokens.shape[-1])
        )  # (B, top, d)
        return picked.mean(1)
    raise ValueError(f'pool must be one of {POOLS}, got {pool!r}.')
