"""Visual prompt tuning, the baseline beside LORE."""

from torch import Tensor, nn

from lore_mm.registry import MODELS

from ..black_boxes import BlackBox
from ..white_box.white_box import global_prompts
from .base import PromptedBackbone, Prompts
from .lore_vit import LOREFeatures


@MODELS.register_module()
class PromptedViT(PromptedBackbone):
    """A frozen ViT with learnt prompts, the same for every image.

    Visual prompt tuning (Jia et al., ECCV 2022).

    Args:
        black_box (dict | BlackBox): The frozen ViT.
        num_prompts (int): Prompts per layer. Defaults to 10.
        deep (bool): Own prompts for each layer (VPT-deep), or one set before
            the first (VPT-shallow). Defaults to True.
        drop_rate (float): Dropout on the prompts. Defaults to 0.
        before_pre_norm (bool): Whether the first layer's prompts enter before
            CLIP's pre-norm. Defaults to True.
        out_type (str): As in :class:`LOREViT`.
        fast (bool): See :class:`PromptedBackbone`. Defaults to True.
        init_cfg (dict, optional): As in mmengine. Defaults to None.

    Raises:
        ValueError: ``num_prompts`` below 1, or ``out_type`` unknown.
    """

    OUT_TYPES = ('cls_token', 'featmap', 'raw', 'lore')

    def __init__(
        self,
        black_box: dict | BlackBox,
        num_prompts: int = 10,
        deep: bool = True,
        drop_rate: float = 0.0,
        before_pre_norm: bool = True,
        out_type: str = 'cls_token',
        fast: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(black_box, out_type, fast, init_cfg)
        if num_prompts < 1:
            raise ValueError(
                f'num_prompts must be at least 1, got {num_prompts}.'
            )
        self.deep = deep
        self.before_pre_norm = before_pre_norm
        self.prompts = global_prompts(
            self.black_box.num_layers if deep else 1,
            num_prompts,
            self.embed_dims,
        )
        self.drop = nn.Dropout(drop_rate)

    def forward(self, img: Tensor) -> tuple[Tensor] | LOREFeatures:
        """Features of images (B, 3, H, W); see ``out_type``."""
        black_box = self.black_box
        patches, grid = black_box.patchify(img)
        tokens = black_box.pre_norm(black_box.embed(patches, grid))
        prompts = self.prompts_for(img)
        if self.training and self.drop.p:
            prompts = prompts._replace(shared=self.drop(self.prompts))
        cls_only = self.out_type in ('cls_token', 'lore')
        tokens = self.run_blocks(tokens, prompts, cls_only=cls_only)
        tokens = black_box.norm(tokens)
        if self.out_type == 'lore':
            return LOREFeatures(black_box.project(tokens[:, 0]))
        return self.format(tokens, grid)

    def prompts_for(self, img: Tensor) -> Prompts:
        """The learnt prompts, whatever the images; without dropout."""
        return Prompts(
            self.prompts,
            None,
            self.deep,
            before_pre_norm=self.before_pre_norm,
        )
