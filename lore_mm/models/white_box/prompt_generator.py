"""Prompt Generator (PG): the latent Y and the locality-aware prompts U."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lore_mm.registry import MODELS

from .norm import LinearNorm


class Bottleneck(nn.Module):
    """Two 1x1 convolutions d_in -> r -> d_out with GELU between.

    Args:
        in_dims (int): Input width.
        hidden_dims (int): Bottleneck width ``r``.
        out_dims (int): Output width.
        hidden_norm (str): Norm after the first convolution.
        out_norm (str): Norm after the second.
    """

    def __init__(
        self,
        in_dims: int,
        hidden_dims: int,
        out_dims: int,
        hidden_norm: str = 'none',
        out_norm: str = 'none',
    ) -> None:
        super().__init__()
        self.down = LinearNorm(in_dims, hidden_dims, norm=hidden_norm)
        self.up = LinearNorm(hidden_dims, out_dims, norm=out_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_dims) to (..., out_dims)."""
        return self.up(F.gelu(self.down(x)))


class PromptNorm(nn.Module):
    """Layer norm of each prompt, with a gain and a bias of its own.

    Args:
        num_layers (int): L.
        num_prompts (int): M.
        embed_dims (int): d.
    """

    def __init__(
        self, num_layers: int, num_prompts: int, embed_dims: int
    ) -> None:
        super().__init__()
        shape = (num_layers, num_prompts, embed_dims)
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, prompts: Tensor) -> Tensor:
        """Normalise (B, L, M, d)."""
        prompts = F.layer_norm(prompts, prompts.shape[-1:])
        return prompts * self.weight + self.bias


@MODELS.register_module()
class PromptGenerator(nn.Module):
    """Write locality-aware prompts from pooled tokens; LORE, Eqs. (8)-(9).

    Args:
        embed_dims (int): Width ``d`` of tokens, latent and prompts.
        num_layers (int): Layers that get prompts of their own: all layers
            after ``read_layer`` for deep prompts, 1 for shallow ones.
        num_prompts (int): Prompts per layer. 0 leaves only the latent.
        in_dims (int, optional): Width of the pooled tokens. Defaults to None,
            ``embed_dims``.
        hidden_dims (int): Bottleneck width ``r``. Defaults to 32.
        norm (str): Norm inside both bottlenecks and after the second:
            ``batch`` (``released``), ``layer``, or ``none`` (``paper``).
        drop_rate (float): Dropout on the prompts. Defaults to 0.1.
        gain_init (float): First gain of the norm after the second
            bottleneck, the size of a prompt's entries. Defaults to 1.
    """

    def __init__(
        self,
        embed_dims: int,
        num_layers: int,
        num_prompts: int = 2,
        in_dims: int | None = None,
        hidden_dims: int = 32,
        norm: str = 'batch',
        drop_rate: float = 0.1,
        gain_init: float = 1.0,
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.num_layers = num_layers
        self.num_prompts = num_prompts
        self.psi1 = Bottleneck(
            in_dims or embed_dims, hidden_dims, embed_dims, hidden_norm=norm
        )
        self.psi2 = None
        self.out_norm = nn.Identity()
        if num_prompts:
            self.psi2 = Bottleneck(
                embed_dims,
                hidden_dims,
                num_layers * num_prompts * embed_dims,
                hidden_norm=norm,
                out_norm='batch' if norm == 'batch' else 'none',
            )
            if norm == 'layer':
                self.out_norm = PromptNorm(num_layers, num_prompts, embed_dims)
        self.drop = nn.Dropout(drop_rate)
        if self.psi2 is not None:
            self.start_from(None, gain_init)

    @torch.no_grad()
    def start_from(self, base: Tensor | None, gain: float = 1.0) -> None:
        """Start the prompts at ``base``, with deviations of size ``gain``.

        Args:
            base (Tensor, optional): (L, d), the same for all prompts of a
                layer. None is zero.
            gain (float): First gain of the last norm; without norms, a
                factor on the last map's weight.
        """
        last = self._last()
        if isinstance(last, LinearNorm):
            last.weight.mul_(gain)
        else:
            last.weight.fill_(gain)
        last.bias.zero_()
        if base is not None:
            shape = (self.num_layers, self.num_prompts, self.embed_dims)
            last.bias.add_(base[:, None].expand(shape).reshape_as(last.bias))

    def _last(self) -> nn.Module:
        """The module whose bias is added to the prompts last."""
        if isinstance(self.out_norm, PromptNorm):
            return self.out_norm
        if isinstance(self.psi2.up.norm, nn.Identity):
            return self.psi2.up
        return self.psi2.up.norm

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor | None]:
        """Generate the latent and the prompts.

        Args:
            pooled (Tensor): Pooled Ê, (B, in_dims).

        Returns:
            tuple: Latent Y (B, d), and prompts (B, L, M, d) or None when
            ``num_prompts`` is 0.
        """
        latent = self.psi1(pooled)  # Eq. (8)
        if self.psi2 is None:
            return latent, None
        prompts = self.psi2(latent)  # Eq. (9), (B, L * M * d)
        shape = (-1, self.num_layers, self.num_prompts, self.embed_dims)
        return latent, self.drop(self.out_norm(prompts.view(shape)))
