"""What backbones around a Black Box share: blocks with prompts, outputs."""

from typing import NamedTuple

import torch
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from lore_mm.registry import MODELS

from ..black_boxes import BlackBox
from ..black_boxes.pre_norm_block import PreNormBlock, standard_block
from ..white_box.norm import versions
from .prompted_block import fast_block, plain_block, prompt_kv


class Prompts(NamedTuple):
    """Prompts of a forward pass.

    Attributes:
        shared (Tensor | None): (L', G, C), the same for all images.
        local (Tensor | None): (B, L, M, C), one set per image.
        deep (bool): Own prompts for each layer, dropped after it; or one set
            that enters once and is carried to the end.
        start (int): Block before which local prompts first enter.
        shared_start (int): The same of shared prompts, of deep ones.
        before_pre_norm (bool): Whether the prompts of block 0 pass the ViT's
            pre-norm.
    """

    shared: Tensor | None
    local: Tensor | None
    deep: bool = True
    start: int = 0
    shared_start: int = 0
    before_pre_norm: bool = True

    def shared_at(self, index: int) -> Tensor | None:
        """Shared prompts (G, C) that enter block ``index``, if any."""
        if self.shared is None or index < self.shared_start:
            return None
        return self.shared[index - self.shared_start]

    def local_at(self, index: int) -> Tensor | None:
        """Local prompts (B, M, C) that enter block ``index``, if any."""
        if self.local is None or index < self.start:
            return None
        return self.local[:, index - self.start]

    def at(self, index: int, batch: int) -> Tensor | None:
        """All prompts (B, M, C) of block ``index``, shared ones first."""
        shared, local = self.shared_at(index), self.local_at(index)
        if shared is None:
            return local
        shared = shared.expand(batch, -1, -1)
        if local is None:
            return shared
        return torch.cat([shared, local.to(shared.dtype)], dim=1)


class PromptedBackbone(BaseBackbone):
    """A Black Box whose blocks run with prompts.

    Args:
        black_box (dict | BlackBox): The frozen ViT.
        out_type (str): One of ``OUT_TYPES``.
        fast (bool): Use the path with prompts as keys and values only where
            the blocks are standard pre-norm blocks. The output is the same.
    """

    OUT_TYPES: tuple[str, ...] = ('cls_token', 'featmap', 'raw')

    def __init__(
        self,
        black_box: dict | BlackBox,
        out_type: str = 'cls_token',
        fast: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if out_type not in self.OUT_TYPES:
            raise ValueError(
                f'out_type must be one of {self.OUT_TYPES}, got {out_type!r}.'
            )
        if not isinstance(black_box, nn.Module):
            black_box = MODELS.build(black_box)
        if out_type != 'lore':
            # Not frozen and yet unused, it would stop several processes.
            for weight in black_box.projection_weights():
                weight.requires_grad_(False)
        self.black_box = black_box
        self.out_type = out_type
        self.fast = fast
        self.embed_dims = black_box.embed_dims
        self._constants: dict[int, tuple] = {}

    def train(self, mode: bool = True) -> 'PromptedBackbone':
        """Set the mode; mmpretrain's backbones do not return themselves.

        Constants are dropped: fused optimizers, and mmengine's EMAHook before
        it sets the mode, write to parameters unseen by :func:`versions`.
        """
        super().train(mode)
        self._constants.clear()
        return self

    # -- blocks ----------------------------------------------------------
    def run_blocks(
        self,
        tokens: Tensor,
        prompts: Prompts | None,
        start: int = 0,
        stop: int | None = None,
        cls_only: bool = False,
    ) -> Tensor:
        """Blocks from ``start`` up to ``stop``, the end, on (B, P + N, C).

        Returns:
            Tensor: (B, P + N, C) without prompts, or (B, 1, C) when only the
            CLS token of the last block is asked for.
        """
        blocks = self.black_box.blocks
        num_prefix = self.black_box.num_prefix_tokens
        shallow = prompts is not None and not prompts.deep
        carried = 0
        # A view of the first blocks may end before ``stop``.
        end = len(blocks) if stop is None else min(stop, len(blocks))
        for index in range(start, end):
            last = cls_only and index == len(blocks) - 1
            if shallow and index == prompts.start:
                own = prompts.at(index, tokens.shape[0])
                own = self.enter(prompts, index, own)
                carried = own.shape[1]
                tokens = torch.cat(
                    [tokens[:, :num_prefix], own, tokens[:, num_prefix:]],
                    dim=1,
                )
            if prompts is not None and prompts.deep:
                tokens = self._deep_block(index, tokens, prompts, last)
            else:
                tokens = self._bare_block(
                    index, tokens, last and prompts is not None
                )
        if cls_only:
            return tokens[:, :1]
        if carried:
            patches = tokens[:, num_prefix + carried :]
            tokens = torch.cat([tokens[:, :num_prefix], patches], dim=1)
        return tokens

    def _bare_block(self, index: int, tokens: Tensor, last: bool) -> Tensor:
        """A block without deep prompts; only CLS where it is the last."""
        block = self.black_box.blocks[index]
        view = self._view(block) if last else None
        if view is None:
            return block(tokens)
        return fast_block(view, tokens, [], num_queries=1)

    def _deep_block(
        self, index: int, tokens: Tensor, prompts: Prompts, last: bool
    ) -> Tensor:
        block = self.black_box.blocks[index]
        view = self._view(block)
        if view is None:
            own = prompts.at(index, tokens.shape[0])
            if own is None:
                return block(tokens)
            own = self.enter(prompts, index, own)
            return plain_block(
                block, tokens, own, self.black_box.num_prefix_tokens
            )
        pairs = []
        if prompts.shared_at(index) is not None:
            pairs.append(self._shared_kv(index, view, prompts))
        local = prompts.local_at(index)
        if local is not None:
            local = self.enter(prompts, index, local)
            pairs.append(prompt_kv(view, local))
        if not pairs and not last:
            return block(tokens)
        return fast_block(view, tokens, pairs, 1 if last else None)

    def _view(self, block: nn.Module) -> PreNormBlock | None:
        return standard_block(block) if self.fast else None

    def prompts_for(self, img: Tensor) -> Prompts | None:
        """Prompts of images (B, 3, H, W), for all blocks; None without any."""
        raise NotImplementedError

    def enter(self, prompts: Prompts, index: int, own: Tensor) -> Tensor:
        """Prompts (B, M, C) as they enter block ``index``."""
        if index == 0 and prompts.before_pre_norm:
            return self.black_box.pre_norm(own)
        return own

    def _shared_kv(
        self, index: int, view: PreNormBlock, prompts: Prompts
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of the shared prompts: constants at inference."""

        def compute() -> tuple[Tensor, Tensor]:
            own = prompts.shared_at(index)[None]
            return prompt_kv(view, self.enter(prompts, index, own))

        if torch.is_grad_enabled() or torch.is_autocast_enabled(
            prompts.shared.device.type
        ):
            return compute()
        sources = [prompts.shared, view.qkv_weight]
        sources += view.norm1.parameters()
        if view.qkv_bias is not None:
            sources.append(view.qkv_bias)
        key = versions(sources)
        if self._constants.get(index, (None,))[0] != key:
            kept = [tensor.detach() for tensor in sources]
            self._constants[index] = (key, compute(), kept)
        return self._constants[index][1]

    # -- outputs ---------------------------------------------------------
    def format(self, tokens: Tensor, grid: tuple[int, int]) -> tuple[Tensor]:
        """Normed tokens (B, T, C) as ``out_type`` asks, in a tuple."""
        if self.out_type == 'cls_token':
            return (tokens[:, 0],)
        if self.out_type == 'raw':
            return (tokens,)
        patches = tokens[:, self.black_box.num_prefix_tokens :]
        return (patches.transpose(1, 2).unflatten(2, grid).contiguous(),)
