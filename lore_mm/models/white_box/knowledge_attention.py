"""Knowledge-Locality Attention (KLA): class prototypes from local tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lore_mm.registry import MODELS

from .norm import build_norm

# The released code multiplies the scores by sqrt(14), whatever the grid.
RELEASED_SCALE = 14**0.5


def keep_largest(scores: Tensor, top: int) -> Tensor:
    """phi_N of LORE, Eq. (6): the N largest of a row kept, others zero.

    Zero and not minus infinity: the softmax that follows still gives them
    weight. ``scores`` is (..., M).
    """
    top = min(top, scores.shape[-1])
    index = scores.topk(top, dim=-1).indices
    mask = torch.zeros_like(scores).scatter_(-1, index, 1.0)
    return scores * mask


@MODELS.register_module()
class KnowledgeLocalityAttention(nn.Module):
    """K-L prototypes: class embeddings attend to the interacted tokens.

    - ``released``: the L2-normalised class embedding is the query as it is;
      the kept scores of a row are divided by their L2 norm and multiplied by
      M; one linear map back to ``d``.
    - ``paper``: LORE, Eqs. (5)-(7), with ``num_heads`` heads.

    Needed in training only.

    Args:
        embed_dims (int): Width ``d`` of the tokens.
        text_dims (int): Width ``d_q`` of the class embeddings.
        preset (str): ``released`` or ``paper``.
        top (int): N, scores kept per class. Defaults to 9.
        num_heads (int): Heads of ``paper``. Defaults to 1.
        norm (str): Norm of Eq. (7) in ``paper``. Defaults to ``batch``.
        score_scale (float): Factor on the scores of ``released``.

    Raises:
        ValueError: ``preset`` unknown, heads that do not divide ``d``, or
            ``top`` below 1.
    """

    def __init__(
        self,
        embed_dims: int,
        text_dims: int,
        preset: str = 'released',
        top: int = 9,
        num_heads: int = 1,
        norm: str = 'batch',
        score_scale: float = RELEASED_SCALE,
    ) -> None:
        super().__init__()
        if preset not in ('released', 'paper'):
            raise ValueError(
                f"preset must be 'released' or 'paper', got {preset!r}."
            )
        if preset == 'released' and num_heads != 1:
            raise ValueError(
                f"num_heads must be 1 in preset 'released', got {num_heads}."
            )
        if num_heads < 1 or embed_dims % num_heads:
            raise ValueError(
                f'num_heads must divide {embed_dims}, got {num_heads}.'
            )
        if top < 1:
            raise ValueError(f'top must be at least 1, got {top}.')
        self.preset = preset
        self.top = top
        self.num_heads = num_heads
        self.score_scale = score_scale
        if preset == 'released':
            self.key = nn.Linear(embed_dims, text_dims, bias=False)
            self.value = nn.Linear(embed_dims, text_dims, bias=False)
            self.proj = nn.Linear(text_dims, embed_dims)
        else:
            self.query = nn.Linear(text_dims, embed_dims, bias=False)
            self.key = nn.Linear(embed_dims, embed_dims, bias=False)
            self.value = nn.Linear(embed_dims, embed_dims, bias=False)
            self.mlp = nn.Sequential(
                nn.Linear(embed_dims, embed_dims),
                nn.GELU(),
                nn.Linear(embed_dims, embed_dims),
            )
            self.norm = build_norm(norm, embed_dims)

    def forward(self, knowledge: Tensor, tokens: Tensor) -> Tensor:
        """Prototypes (B, K, d) of every class.

        Args:
            knowledge (Tensor): Class embeddings q (K, d_q), L2-normalised.
            tokens (Tensor): Interacted tokens Ê (B, N, d).
        """
        weights, value = self._attend(knowledge, tokens)
        mixed = weights @ value  # (B, heads, K, d / heads)
        mixed = mixed.transpose(1, 2).flatten(2)  # (B, K, d or d_q)
        if self.preset == 'released':
            return self.proj(mixed)
        return self.norm(self.mlp(mixed) + mixed)  # Eq. (7)

    def attention(self, knowledge: Tensor, tokens: Tensor) -> Tensor:
        """Attention (B, heads, K, N) of classes over patches, for maps."""
        return self._attend(knowledge, tokens)[0]

    def _attend(
        self, knowledge: Tensor, tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        # The scores are multiplied by M, and so would be bf16's rounding.
        with torch.autocast(tokens.device.type, enabled=False):
            dtype = self.key.weight.dtype
            return self._weigh(knowledge.to(dtype), tokens.to(dtype))

    def _weigh(
        self, knowledge: Tensor, tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        key, value = (
            self._heads(self.key(tokens)),
            self._heads(self.value(tokens)),
        )  # (B, heads, N, c)
        if self.preset == 'released':
            scores = knowledge @ key.transpose(-2, -1) * self.score_scale
            scores = keep_largest(scores, self.top)  # (B, 1, K, N)
            scores = F.normalize(scores, dim=-1) * tokens.shape[1]
        else:
            query = self._heads(self.query(knowledge)[None])  # Eq. (5)
            scores = query @ key.transpose(-2, -1)
            scores = scores * query.shape[-1] ** -0.5
            scores = keep_largest(scores, self.top)
        return scores.softmax(-1), value  # Eq. (6)

    def _heads(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, heads, T, C / heads)."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
