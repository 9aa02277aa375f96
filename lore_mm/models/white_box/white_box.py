"""The White Box: LIN and PG beside a frozen ViT."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lore_mm.registry import MODELS

from .locality import POOLS, LocalityInteractionNetwork
from .presets import PRESETS
from .prompt_generator import PromptGenerator

# What the backbone reads of a White Box.
_FACTS = (
    'deep',
    'num_global_prompts',
    'num_local_prompts',
    'read_layer',
    'write_layer',
    'global_layer',
    'pool',
    'position',
)


class WhiteBoxOutput(NamedTuple):
    """What the White Box writes for a batch.

    Attributes:
        shared (Tensor | None): Global prompts (L', G, d), the same for all
            images; L' is L, or more where they enter earlier blocks too.
        local (Tensor | None): Locality-aware prompts (B, L, M, d).
        latent (Tensor): Y (B, d).
        tokens (Tensor | None): Ê (B, N, d), where it was asked for.
        pooled (Tensor | None): Pooled Ê, what the latent is made of:
            (B, d), or (B, 2 d) for a pair of pools.
    """

    shared: Tensor | None
    local: Tensor | None
    latent: Tensor
    tokens: Tensor | None
    pooled: Tensor | None = None

    @property
    def prompts(self) -> Tensor | None:
        """All prompts (B, L, G + M, d), global first; None without any.

        Of the blocks that have local prompts, where there are any.
        """
        if self.shared is None:
            return self.local
        shared = self.shared.expand(len(self.latent), -1, -1, -1)
        if self.local is None:
            return shared
        shared = shared[:, -self.local.shape[1] :]
        return torch.cat([shared, self.local.to(shared.dtype)], dim=2)


@MODELS.register_module()
class WhiteBox(nn.Module):
    """LIN and PG, sized by the Black Box.

    ``None`` stands for the preset's value.

    Args:
        embed_dims (int): Width of the ViT's tokens.
        num_layers (int): Layers of the ViT.
        preset (str): ``released``, ``paper`` or ``extended``.
        num_global_prompts (int, optional): Learnt prompts per layer, the same
            for all images.
        num_local_prompts (int, optional): Prompts per layer written for each
            image from its local tokens.
        read_layer (int, optional): 0 reads the patch embedding (the paper);
            s > 0 reads the tokens after block s, and local prompts enter the
            blocks after s only. ``extended`` reads after a third of the
            blocks.
        write_layer (int, optional): Local prompts enter the blocks after this
            one. Defaults to None, ``read_layer``.
        global_layer (int, optional): Global prompts enter the blocks after
            this one; nothing is back-propagated through those before it.
            Below ``write_layer`` for deep prompts only; ``extended`` has 0:
            all blocks. Defaults to None, ``write_layer``.
        pool (str, optional): How PG pools Ê: ``mean`` (the paper), ``max``,
            ``mean_max``, ``max_min`` or ``outlier``.
        norm (str, optional): ``batch`` (the paper), ``layer`` or ``none``.
        deep (bool, optional): Prompts of their own for each layer, or one
            set that enters once and is carried on.
        variant (str, optional): LIN variant, ``grapher`` or ``max_relative``.
        position (bool, optional): Whether the LIN's input has position
            embeddings; only for ``read_layer=0``.
        drop_rate (float, optional): Dropout on local prompts.
        k (int): Neighbours in the LIN's graph. Defaults to 9.
        hidden_dims (int): Bottleneck width ``r``. Defaults to 32.
        top_patches (int): Patches that ``pool='outlier'`` keeps.
        before_pre_norm (bool): Whether the first layer's prompts enter before
            CLIP's pre-norm. Defaults to True.
        gain_init (float): See :class:`PromptGenerator`. Defaults to 1.
        lin_gain_init (float, optional): First gain of the LIN's residual
            branches; 0 (``extended``) lets Ê start as the tokens read.

    Raises:
        ValueError: A value outside its range; the message names it.
    """

    def __init__(
        self,
        embed_dims: int,
        num_layers: int,
        preset: str = 'released',
        num_global_prompts: int | None = None,
        num_local_prompts: int | None = None,
        read_layer: int | None = None,
        write_layer: int | None = None,
        global_layer: int | None = None,
        pool: str | None = None,
        norm: str | None = None,
        deep: bool | None = None,
        variant: str | None = None,
        position: bool | None = None,
        drop_rate: float | None = None,
        k: int = 9,
        hidden_dims: int = 32,
        top_patches: int = 3,
        before_pre_norm: bool = True,
        gain_init: float = 1.0,
        lin_gain_init: float | None = None,
    ) -> None:
        super().__init__()
        if preset not in PRESETS:
            raise ValueError(
                f'preset must be one of {tuple(PRESETS)}, got {preset!r}.'
            )
        given = dict(
            num_global_prompts=num_global_prompts,
            num_local_prompts=num_local_prompts,
            read_layer=read_layer,
            global_layer=global_layer,
            pool=pool,
            norm=norm,
            deep=deep,
            variant=variant,
            position=position,
            drop_rate=drop_rate,
            lin_gain_init=lin_gain_init,
        )
        values = dict(global_layer=None, write_layer=write_layer)
        values.update(PRESETS[preset])
        values.update((k, v) for k, v in given.items() if v is not None)
        if values['read_layer'] is None:
            values['read_layer'] = num_layers // 3
        if values['write_layer'] is None:
            values['write_layer'] = values['read_layer']
        shallow = global_layer is None and not values['deep']
        if values['global_layer'] is None or shallow:
            values['global_layer'] = values['write_layer']
        self.preset = preset
        self.embed_dims = embed_dims
        self.num_layers = num_layers
        self.top_patches = top_patches
        self.before_pre_norm = before_pre_norm
        for key in _FACTS:
            setattr(self, key, values[key])
        self._check(num_layers, hidden_dims)
        self.num_prompt_layers = (
            num_layers - self.write_layer if self.deep else 1
        )
        self.num_global_layers = (
            num_layers - self.global_layer if self.deep else 1
        )
        self._build(values, k, hidden_dims, gain_init)

    def _build(
        self, values: dict, k: int, hidden_dims: int, gain_init: float
    ) -> None:
        dims, norm = self.embed_dims, values['norm']
        self.lin = LocalityInteractionNetwork(
            dims,
            variant=values['variant'],
            k=k,
            norm=norm,
            gain_init=values['lin_gain_init'],
        )
        self.prompt_generator = PromptGenerator(
            dims,
            self.num_prompt_layers,
            self.num_local_prompts,
            in_dims=self.pooled_dims,
            hidden_dims=hidden_dims,
            norm=norm,
            drop_rate=values['drop_rate'],
            gain_init=gain_init,
        )
        self.global_prompts = None
        if self.num_global_prompts:
            self.global_prompts = global_prompts(
                self.num_global_layers, self.num_global_prompts, dims
            )

    def _check(self, num_layers: int, hidden_dims: int) -> None:
        for name in ('num_global_prompts', 'num_local_prompts'):
            if getattr(self, name) < 0:
                raise ValueError(
                    f'{name} must be 0 or more, got {getattr(self, name)}.'
                )
        if not 0 <= self.read_layer < num_layers:
            raise ValueError(
                f'read_layer must be in [0, {num_layers - 1}] so that a block '
                f'is left for the prompts, got {self.read_layer}.'
            )
        if not self.read_layer <= self.write_layer < num_layers:
            raise ValueError(
                f'write_layer must be in [{self.read_layer}, '
                f'{num_layers - 1}], from read_layer on, got '
                f'{self.write_layer}.'
            )
        first = 0 if self.deep else self.write_layer
        if not first <= self.global_layer <= self.write_layer:
            raise ValueError(
                f'global_layer must be in [{first}, {self.write_layer}], up '
                'to write_layer, and equal to it for shallow prompts, got '
                f'{self.global_layer}.'
            )
        if self.pool not in POOLS:
            raise ValueError(
                f'pool must be one of {POOLS}, got {self.pool!r}.'
            )
        if hidden_dims < 1:
            raise ValueError(
                f'hidden_dims must be at least 1, got {hidden_dims}.'
            )
        if self.top_patches < 1:
            raise ValueError(
                f'top_patches must be at least 1, got {self.top_patches}.'
            )

    @property
    def pooled_dims(self) -> int:
        """Width of the pooled Ê."""
        return self.embed_dims * (2 if '_' in self.pool else 1)

    @property
    def settings(self) -> dict[str, int | bool | str]:
        """What is computed differently by the same weights.

        By the names of the arguments; whatever has no effect is left out.
        """
        names = ['deep', 'read_layer', 'write_layer', 'global_layer', 'pool']
        if not self.read_layer:
            names.append('position')
        if self.pool == 'outlier':
            names.append('top_patches')
        found = {name: getattr(self, name) for name in names}
        if isinstance(self.lin, LocalityInteractionNetwork):
            found |= dict(variant=self.lin.variant, k=self.lin.k)
        return found | dict(before_pre_norm=self.before_pre_norm)

    @property
    def num_prompts(self) -> int:
        """Prompts per layer, global and local."""
        return self.num_global_prompts + self.num_local_prompts

    def forward(
        self, patches: Tensor, with_tokens: bool = False
    ) -> WhiteBoxOutput:
        """Write prompts for a batch of images.

        Args:
            patches (Tensor): What the LIN reads, (B, N, d).
            with_tokens (bool): Return Ê too; KLA needs it in training.
                Without it the last map of a mean-pooled LIN runs on one row
                per image.
        """
        tokens = None
        if with_tokens:
            tokens, pooled = self.lin.forward_pooled(
                patches, self.pool, self.top_patches
            )
        else:
            pooled = self.lin.pooled(patches, self.pool, self.top_patches)
        latent, local = self.prompt_generator(pooled)
        return WhiteBoxOutput(
            self.global_prompts, local, latent, tokens, pooled
        )


def global_prompts(layers: int, number: int, dims: int) -> nn.Parameter:
    """Learnable prompts (L, G, d), uniform as in visual prompt tuning.

    The bound is Xavier's for a token (VPT, Jia et al., ECCV 2022): of the
    order of a patch embedding's entries.
    """
    bound = (6.0 / (2 * dims)) ** 0.5
    return nn.Parameter(
        torch.empty(layers, number, dims).uniform_(-bound, bound)
    )
