"""LoRA on a frozen ViT, a rival of LORE."""

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lore_mm.registry import MODELS

from ..black_boxes import BlackBox, standard_block
from .base import PromptedBackbone
from .lore_vit import LOREFeatures


@MODELS.register_module()
class LoRAViT(PromptedBackbone):
    """A frozen ViT whose query, key and value maps learn a low-rank change.

    LoRA (Hu et al., ICLR 2022): ``W + alpha / rank * up @ down`` in the place
    of each block's ``W``; ``up`` starts at zero, so training starts at the
    frozen ViT. The same sum as mmpretrain's ``LoRALinear`` without dropout.
    The changes are kept beside the Black Box and not inside: its weights, and
    the fingerprint in checkpoints, stay what they are, and open_clip's blocks,
    whose map is no linear layer, are adapted too.

    Args:
        black_box (dict | BlackBox): The frozen ViT.
        rank (int): Defaults to 16.
        alpha (float): Defaults to 16.
        out_type (str): As in :class:`LOREViT`.
        init_cfg (dict, optional): As in mmengine. Defaults to None.

    Raises:
        ValueError: ``rank`` below 1, a block whose maps are not known, or
            ``out_type`` unknown.
    """

    OUT_TYPES = ('cls_token', 'featmap', 'raw', 'lore')

    def __init__(
        self,
        black_box: dict | BlackBox,
        rank: int = 16,
        alpha: float = 16.0,
        out_type: str = 'cls_token',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(black_box, out_type, init_cfg=init_cfg)
        if rank < 1:
            raise ValueError(f'rank must be at least 1, got {rank}.')
        views = [standard_block(block) for block in self.black_box.blocks]
        if None in views:
            raise ValueError(
                f'LoRA does not know the maps of block {views.index(None)} of '
                f'{self.black_box.describe()}; it needs standard blocks.'
            )
        self._keys = [view.paths['qkv_weight'] for view in views]
        self.scaling = alpha / rank
        rows, columns = views[0].qkv_weight.shape
        self.lora_down = nn.Parameter(torch.empty(len(views), rank, columns))
        self.lora_up = nn.Parameter(torch.zeros(len(views), rows, rank))
        for down in self.lora_down:
            nn.init.kaiming_uniform_(down, a=math.sqrt(5))

    def forward(self, img: Tensor) -> tuple[Tensor] | LOREFeatures:
        """Features of images (B, 3, H, W); see ``out_type``."""
        black_box = self.black_box
        patches, grid = black_box.patchify(img)
        tokens = black_box.pre_norm(black_box.embed(patches, grid))
        change = self.scaling * self.lora_up @ self.lora_down  # (L, 3 C, C)
        for i, block in enumerate(black_box.blocks):
            weight = block.get_parameter(self._keys[i]) + change[i]
            tokens = functional_call(block, {self._keys[i]: weight}, tokens)
        tokens = black_box.norm(tokens)
        if self.out_type == 'lore':
            return LOREFeatures(black_box.project(tokens[:, 0]))
        return self.format(tokens, grid)

    def prompts_for(self, img: Tensor) -> None:
        """LoRA writes no prompts, and changes the maps that make attention.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            'attention maps are made of models with prompts, got LoRAViT, '
            'which changes the weights of each block; take a LOREViT or a '
            'PromptedViT.'
        )
