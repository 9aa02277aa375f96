"""Black Box around a Vision Transformer of timm."""

import timm
import torch
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from lore_mm.registry import MODELS

from .base import BlackBox
from .weights import load_weights, strict_load

# timm names of CLIP towers carry `_clip_`; their `head` is the projection
# into the image-text space, not a classifier.
_CLIP_TAG = '_clip_'


@MODELS.register_module()
class TimmBlackBox(BlackBox):
    """A timm ``VisionTransformer``: ViT, CLIP, DeiT, DINOv2 (registers too).

    Args:
        model_name (str): A name of :func:`timm.create_model`. For OpenAI's
            CLIP weights use the names with ``quickgelu``: the others run them
            with another activation.
        pretrained (bool): Load the weights of timm's hub. Defaults to False.
        checkpoint (str, optional): A local file instead: safetensors, or a
            torch file that loads with ``weights_only=True``. Keys must match
            but for a classifier, which is dropped. Defaults to None.
        img_size (int | tuple[int, int]): Input size that random weights are
            made for. Loaded weights keep their own grid of positions, which
            is resampled to each input's size. Defaults to 224.
        projection (bool, optional): Keep ``head`` as the CLS projection.
            Defaults to None: True for CLIP towers.
        frozen (bool): See :class:`BlackBox`. Defaults to True.
        **kwargs: Passed to :func:`timm.create_model`.

    Raises:
        ValueError: Not a plain ViT, or ``pretrained`` and ``checkpoint``
            given together.
        RuntimeError: A key of the checkpoint is unexpected or missing.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: bool = False,
        checkpoint: str | None = None,
        img_size: int | tuple[int, int] = 224,
        projection: bool | None = None,
        frozen: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(frozen)
        if pretrained and checkpoint:
            raise ValueError(
                'pretrained=True and checkpoint are two sources of weights, '
                f'give one; got checkpoint={checkpoint!r}.'
            )
        self.model_name = model_name
        if projection is None:
            projection = _CLIP_TAG in model_name
        if not projection:
            kwargs.setdefault('num_classes', 0)
        state = load_weights(checkpoint) if checkpoint else None
        if not pretrained:
            kwargs['img_size'] = img_size
        if state is not None:
            self._keep_native_grid(state, kwargs)
        self.model = self._create(model_name, pretrained, kwargs)
        if state is not None:
            strict_load(
                self.model,
                state,
                checkpoint,
                drop=() if projection else ('head.', 'head_dist.', 'fc_norm.'),
            )
        self._read_facts(projection)
        self._pos_embeds: dict[tuple[int, int], Tensor] = {}
        self.freeze()

    @staticmethod
    def _create(
        model_name: str, pretrained: bool, kwargs: dict
    ) -> VisionTransformer:
        """Build the ViT; ``dynamic_img_size`` opens all input sizes."""
        model = timm.create_model(
            model_name, pretrained=pretrained, dynamic_img_size=True, **kwargs
        )
        if not isinstance(model, VisionTransformer):
            raise ValueError(
                f'model_name must be a timm VisionTransformer, {model_name!r} '
                f'is a {type(model).__name__}.'
            )
        if model.cls_token is None or model.pos_embed is None:
            raise ValueError(
                f'{model_name!r} has no CLS token or no position embedding.'
            )
        return model

    @staticmethod
    def _keep_native_grid(state: dict[str, Tensor], kwargs: dict) -> None:
        """Set ``img_size`` to the square grid the weights were trained at."""
        weight = state.get('patch_embed.proj.weight')
        pos_embed = state.get('pos_embed')
        if weight is None or pos_embed is None:
            return  # strict_load names what is missing
        side = int(pos_embed.shape[1] ** 0.5)
        kwargs['img_size'] = side * weight.shape[-1]

    def _read_facts(self, projection: bool) -> None:
        model = self.model
        self.embed_dims = model.embed_dim
        self.num_layers = len(model.blocks)
        self.num_heads = model.blocks[0].attn.num_heads
        self.patch_size = model.patch_embed.patch_size[0]
        self.num_prefix_tokens = model.num_prefix_tokens
        self.has_pre_norm = not isinstance(model.norm_pre, nn.Identity)
        self.has_projection = projection
        head = model.head if projection else None
        self.out_dims = head.out_features if head else self.embed_dims
        data = timm.data.resolve_model_data_config(model)
        self.mean = tuple(255.0 * value for value in data['mean'])
        self.std = tuple(255.0 * value for value in data['std'])

    @property
    def blocks(self) -> nn.Sequential:
        """The ViT's own blocks."""
        return self.model.blocks

    def patchify(self, img: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """See :meth:`BlackBox.patchify`."""
        self.check_size(img)
        patches = self.model.patch_embed(img)  # (B, h, w, C)
        grid = (patches.shape[1], patches.shape[2])
        return patches.flatten(1, 2), grid

    def embed(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """See :meth:`BlackBox.embed`; equal to timm's ``_pos_embed``."""
        model = self.model
        batch = patches.shape[0]
        prefix = [model.cls_token.expand(batch, -1, -1)]
        if model.reg_token is not None:
            prefix.append(model.reg_token.expand(batch, -1, -1))
        if getattr(model, 'dist_token', None) is not None:
            prefix.append(model.dist_token.expand(batch, -1, -1))
        pos_embed = self._pos_embed(grid)
        if model.no_embed_class:
            return torch.cat([*prefix, patches + pos_embed], dim=1)
        return torch.cat([*prefix, patches], dim=1) + pos_embed

    def _pos_embed(self, grid: tuple[int, int]) -> Tensor:
        """Positions for ``grid``, kept while the weights cannot change."""
        model = self.model
        if not self.frozen:
            return self._resample(grid)
        cached = self._pos_embeds.get(grid)
        if cached is None or cached.device != model.pos_embed.device:
            cached = self._pos_embeds[grid] = self._resample(grid)
        return cached

    def _resample(self, grid: tuple[int, int]) -> Tensor:
        model = self.model
        prefix = 0 if model.no_embed_class else model.num_prefix_tokens
        return resample_abs_pos_embed(
            model.pos_embed,
            new_size=grid,
            old_size=model.patch_embed.grid_size,
            num_prefix_tokens=prefix,
        )

    def pre_norm(self, tokens: Tensor) -> Tensor:
        """See :meth:`BlackBox.pre_norm`."""
        return self.model.norm_pre(tokens)

    def norm(self, tokens: Tensor) -> Tensor:
        """See :meth:`BlackBox.norm`."""
        return self.model.norm(tokens)

    def project(self, cls_token: Tensor) -> Tensor:
        """See :meth:`BlackBox.project`."""
        return self.model.head(cls_token) if self.has_projection else cls_token

    def describe(self) -> str:
        """See :meth:`BlackBox.describe`."""
        return f'{type(self).__name__}({self.model_name})'
