"""LOREViT: a frozen ViT with a White Box beside it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lore_mm.registry import MODELS

from ..black_boxes import BlackBox
from ..white_box import WhiteBox, WhiteBoxOutput
from .base import PromptedBackbone, Prompts


class LOREFeatures(NamedTuple):
    """What the LORE neck and head read.

    Attributes:
        cls_token (Tensor): Normed and projected CLS token (B, out_dims).
        latent (Tensor | None): Y (B, C); None without a White Box.
        tokens (Tensor | None): Ê (B, N, C); None at inference, where nothing
            needs it.
        prototypes (Tensor | None): K-L prototypes (B, K, C), added by the
            neck in training.
        pooled (Tensor | None): Pooled Ê, (B, C), or (B, 2 C) for a pair of
            pools; None without a White Box.
    """

    cls_token: Tensor
    latent: Tensor | None = None
    tokens: Tensor | None = None
    prototypes: Tensor | None = None
    pooled: Tensor | None = None


@MODELS.register_module()
class LOREViT(PromptedBackbone):
    """A frozen ViT (Black Box) with locality-aware prompts (White Box).

    Args:
        black_box (dict | BlackBox): For example ``dict(
            type='lore_mm.TimmBlackBox',
            model_name='vit_base_patch16_224.augreg_in21k',
            pretrained=True)``.
        white_box (dict | WhiteBox, optional): ``dict(
            type='lore_mm.WhiteBox', preset='released')``; all sizes come from
            the Black Box. None is the bare Black Box. Defaults to None.
        out_type (str): The output, always after the last norm:

            - ``cls_token``: a tuple with (B, C), for any stock head;
            - ``featmap``: a tuple with (B, C, h, w), prefix tokens and
              prompts dropped, for dense heads;
            - ``raw``: a tuple with (B, P + N, C), prompts dropped;
            - ``lore``: one :class:`LOREFeatures` for the LORE neck and head.

            Defaults to ``cls_token``.
        fast (bool): See :class:`PromptedBackbone`. Defaults to True.
        init_cfg (dict, optional): As in mmengine. Defaults to None.

    Raises:
        ValueError: ``out_type`` is unknown, an input size is no multiple of
            the patch size, or a built White Box is of another size than the
            Black Box.

    Examples:
        >>> import torch
        >>> from lore_mm.models import LOREViT
        >>> model = LOREViT(
        ...     black_box=dict(
        ...         type='lore_mm.TimmBlackBox', model_name='test_vit'),
        ...     white_box=dict(type='lore_mm.WhiteBox', preset='released'))
        >>> model(torch.rand(2, 3, 96, 64))[0].shape
        torch.Size([2, 64])
    """

    OUT_TYPES = ('cls_token', 'featmap', 'raw', 'lore')

    def __init__(
        self,
        black_box: dict | BlackBox,
        white_box: dict | WhiteBox | None = None,
        out_type: str = 'cls_token',
        fast: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(black_box, out_type, fast, init_cfg)
        if isinstance(white_box, dict):
            white_box = MODELS.build(
                dict(
                    white_box,
                    embed_dims=self.black_box.embed_dims,
                    num_layers=self.black_box.num_layers,
                )
            )
        elif white_box is not None:
            _check_size(white_box, self.black_box)
        self.white_box: nn.Module | None = white_box

    def forward(self, img: Tensor) -> tuple[Tensor] | LOREFeatures:
        """Features of images (B, 3, H, W); see ``out_type``."""
        black_box, white_box = self.black_box, self.white_box
        patches, grid = black_box.patchify(img)
        tokens = black_box.embed(patches, grid)
        output, prompts, start = None, None, 0
        if white_box is not None:
            source, tokens = self._read(patches, tokens)
            output = white_box(source, with_tokens=self._wants_tokens())
            prompts = self._prompts(output.shared, output.local)
            start = white_box.read_layer
        else:
            tokens = black_box.pre_norm(tokens)
        tokens = self.run_blocks(
            tokens, prompts, start, cls_only=self._cls_only()
        )
        tokens = black_box.norm(tokens)
        if self.out_type != 'lore':
            return self.format(tokens, grid)
        cls_token = black_box.project(tokens[:, 0])
        if output is None:
            return LOREFeatures(cls_token)
        return LOREFeatures(
            cls_token, output.latent, output.tokens, pooled=output.pooled
        )

    def _read(self, patches: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What the LIN reads, (B, N, C), and the tokens at that depth.

        Args:
            patches (Tensor): Patch embedding (B, N, C).
            tokens (Tensor): Embedded tokens before the pre-norm.
        """
        black_box, white_box = self.black_box, self.white_box
        num_prefix, depth = black_box.num_prefix_tokens, white_box.read_layer
        source = tokens[:, num_prefix:] if white_box.position else patches
        tokens = black_box.pre_norm(tokens)
        prompts = None
        if white_box.global_layer < depth:
            prompts = self._prompts(white_box.global_prompts, None)
        tokens = self.run_blocks(tokens, prompts, stop=depth)
        return (tokens[:, num_prefix:] if depth else source), tokens

    def _cls_only(self) -> bool:
        return self.out_type in ('cls_token', 'lore')

    def _wants_tokens(self) -> bool:
        """Ê is read by KLA alone, in training."""
        return self.out_type == 'lore' and self.training

    def _prompts(
        self, shared: Tensor | None, local: Tensor | None
    ) -> Prompts | None:
        if shared is None and local is None:
            return None
        return Prompts(
            shared,
            local,
            deep=self.white_box.deep,
            start=self.white_box.write_layer,
            shared_start=self.white_box.global_layer,
            before_pre_norm=self.white_box.before_pre_norm,
        )

    def prompts_for(self, img: Tensor) -> Prompts | None:
        """See :class:`PromptedBackbone`; written in eval mode."""
        if self.white_box is None:
            return None
        output = self.explain(img)
        return self._prompts(output.shared, output.local)

    @torch.no_grad()
    def explain(self, img: Tensor) -> WhiteBoxOutput:
        """What the White Box writes for images (B, 3, H, W), with Ê.

        In eval mode, whatever the mode of the model.

        Raises:
            ValueError: There is no White Box.
        """
        if self.white_box is None:
            raise ValueError('white_box is None: the bare Black Box.')
        patches, grid = self.black_box.patchify(img)
        source, _ = self._read(patches, self.black_box.embed(patches, grid))
        training = self.white_box.training
        self.white_box.eval()
        output = self.white_box(source, with_tokens=True)
        self.white_box.train(training)
        return output


def _check_size(white_box: WhiteBox, black_box: BlackBox) -> None:
    """Raise ``ValueError`` for a White Box of another ViT's size."""
    for name in ('embed_dims', 'num_layers'):
        own, wanted = getattr(white_box, name), getattr(black_box, name)
        if own != wanted:
            raise ValueError(
                f"the White Box's {name} is {own}, the Black Box's {wanted}; "
                'give a config instead of a module, and it is sized to fit.'
            )
