"""Black Box around the image tower of open_clip."""

import open_clip
import torch
from open_clip.model import _build_vision_tower
from open_clip.transformer import VisionTransformer
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from lore_mm.registry import MODELS

from .base import BlackBox, activations
from .weights import (
    check_sources,
    load_weights,
    native_grid,
    strict_load,
    take_part,
)

# Parts of a CLIP checkpoint beside the image tower.
_TEXT_PARTS = (
    'transformer.',
    'token_embedding.',
    'positional_embedding',
    'ln_final.',
    'text_projection',
    'text.',
    'text_decoder.',
    'attn_mask',
    'logit_scale',
    'logit_bias',
    # entries of OpenAI's own files
    'input_resolution',
    'context_length',
    'vocab_size',
)


@MODELS.register_module()
class OpenCLIPBlackBox(BlackBox):
    """The ``VisionTransformer`` of an open_clip model.

    The text tower is never built. open_clip runs its image tower at one size
    only; here the positions are resampled for other sizes, as timm does.

    Args:
        model_name (str): A name of :func:`open_clip.list_models`. For
            OpenAI's weights in a local file use the names with
            ``quickgelu``: the others run them with another activation.
        pretrained (bool | str): Tag of open_clip's hub, or True for the first
            tag it lists for the model. Defaults to False.
        checkpoint (str, optional): A local file instead, of the whole CLIP
            model or of its image tower: safetensors, or a torch file that
            loads with ``weights_only=True``. Defaults to None.
        img_size (int | tuple[int, int]): Input size (h, w) that random
            weights are made for. Loaded weights keep their own grid of
            positions. Defaults to 224.
        frozen (bool): See :class:`BlackBox`. Defaults to True.

    Raises:
        ValueError: The model or tag is unknown, the tower is no plain ViT
            with a CLS token, ``img_size`` is no multiple of the patch, or
            ``pretrained`` and ``checkpoint`` are given together.
        SetupError: A key of the checkpoint is unexpected or missing.
    """

    num_prefix_tokens = 1

    def __init__(
        self,
        model_name: str,
        pretrained: bool | str = False,
        checkpoint: str | None = None,
        img_size: int | tuple[int, int] = 224,
        frozen: bool = True,
    ) -> None:
        super().__init__(frozen)
        check_sources(pretrained, checkpoint)
        self.model_name = model_name
        cfg = _model_cfg(model_name)
        cfg['vision_cfg']['image_size'] = img_size
        own = cfg.get('quick_gelu', False)
        tag_cfg = {}
        if pretrained:
            tag_cfg = _tag_cfg(model_name, pretrained)
            # the weights' own activation; open_clip warns where its model has
            # the other one
            cfg['quick_gelu'] = tag_cfg.get('quick_gelu', False)
            checkpoint = open_clip.download_pretrained(tag_cfg)
        if checkpoint:
            state = take_part(load_weights(checkpoint), 'visual.', _TEXT_PARTS)
            _keep_grid(cfg['vision_cfg'], state, checkpoint)
        self.visual = _create(model_name, cfg)
        if cfg.get('quick_gelu', False) != own:
            self.other_activation = activations(self.blocks, 'mlp.gelu')
        self._read_facts(tag_cfg)
        if checkpoint:
            strict_load(self.visual, state, checkpoint)
        else:
            self.check_img_size(img_size)
        self.freeze()

    def _read_facts(self, tag_cfg: dict) -> None:
        visual = self.visual
        self.embed_dims = visual.transformer.width
        self.num_layers = visual.transformer.layers
        self.num_heads = visual.transformer.resblocks[0].attn.num_heads
        self.patch_size = visual.patch_size[0]
        self.has_pre_norm = not isinstance(visual.ln_pre, nn.Identity)
        self.has_projection = True
        self.out_dims = visual.output_dim
        mean = tag_cfg.get('mean') or open_clip.OPENAI_DATASET_MEAN
        std = tag_cfg.get('std') or open_clip.OPENAI_DATASET_STD
        self.mean = tuple(255.0 * value for value in mean)
        self.std = tuple(255.0 * value for value in std)

    @property
    def blocks(self) -> nn.ModuleList:
        """The tower's own blocks."""
        return self.visual.transformer.resblocks

    def patchify(self, img: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """See :meth:`BlackBox.patchify`."""
        self.check_size(img)
        patches = self.visual.conv1(img)  # (B, C, h, w)
        grid = (patches.shape[2], patches.shape[3])
        return patches.flatten(2).transpose(1, 2), grid

    def embed(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """See :meth:`BlackBox.embed`; equal to open_clip's ``_embeds``."""
        cls_token = self.visual.class_embedding.to(patches.dtype)
        cls_token = cls_token.expand(patches.shape[0], 1, -1)
        tokens = torch.cat([cls_token, patches], dim=1)
        return tokens + self.positions(grid).to(patches.dtype)

    @property
    def position_table(self) -> Tensor:
        """See :attr:`BlackBox.position_table`."""
        return self.visual.positional_embedding

    def resample_positions(self, grid: tuple[int, int]) -> Tensor:
        """See :meth:`BlackBox.resample_positions`."""
        return resample_abs_pos_embed(
            self.visual.positional_embedding[None],
            new_size=grid,
            old_size=self.visual.grid_size,
            num_prefix_tokens=self.num_prefix_tokens,
        )

    def pre_norm(self, tokens: Tensor) -> Tensor:
        """See :meth:`BlackBox.pre_norm`."""
        return self.visual.ln_pre(tokens)

    def norm(self, tokens: Tensor) -> Tensor:
        """See :meth:`BlackBox.norm`."""
        return self.visual.ln_post(tokens)

    def project(self, cls_token: Tensor) -> Tensor:
        """See :meth:`BlackBox.project`."""
        return cls_token @ self.visual.proj

    def projection_weights(self) -> list[nn.Parameter]:
        """See :meth:`BlackBox.projection_weights`."""
        return [self.visual.proj]

    def describe(self) -> str:
        """See :meth:`BlackBox.describe`."""
        return self._describe(self.model_name)


def _model_cfg(model_name: str) -> dict:
    """Configuration of the model, with ``vision_cfg`` inside."""
    cfg = open_clip.get_model_config(model_name.replace('/', '-'))
    if cfg is None:
        raise ValueError(
            f'model_name must be a model of open_clip {open_clip.__version__}'
            f', got {model_name!r}; see open_clip.list_models().'
        )
    # patches dropped at random in training would tear holes into the grid
    cfg['vision_cfg']['patch_dropout'] = 0.0
    return cfg


def _tag_cfg(model_name: str, pretrained: bool | str) -> dict:
    """Where the hub keeps the weights of a tag."""
    name = model_name.replace('/', '-')
    tags = open_clip.list_pretrained_tags_by_model(name)
    tag = pretrained if isinstance(pretrained, str) else next(iter(tags), '')
    cfg = open_clip.get_pretrained_cfg(name, tag)
    if not cfg:
        raise ValueError(
            f'pretrained must be True or one of {tags} for {model_name!r}, '
            f'got {pretrained!r}; a local file is given by checkpoint.'
        )
    return cfg


def _keep_grid(
    vision_cfg: dict, state: dict[str, Tensor], checkpoint: str
) -> None:
    """Set ``image_size`` to the size the weights were trained at."""
    weight = state.get('conv1.weight')
    if weight is None or 'positional_embedding' not in state:
        return  # strict_load names what is missing
    patch, size = weight.shape[-1], vision_cfg['image_size']
    sides = (size, size) if isinstance(size, int) else size
    number = len(state['positional_embedding']) - 1  # without the CLS token
    other = (sides[0] // patch, sides[1] // patch)
    grid = native_grid(number, other, checkpoint)
    vision_cfg['image_size'] = tuple(side * patch for side in grid)


def _create(model_name: str, cfg: dict) -> VisionTransformer:
    """Build the image tower alone and refuse what is no plain ViT."""
    if cfg['vision_cfg'].get('timm_model_name'):
        raise ValueError(
            f'{model_name!r} has an image tower of timm; use '
            f'lore_mm.TimmBlackBox.'
        )
    visual = _build_vision_tower(
        cfg['embed_dim'], cfg['vision_cfg'], cfg.get('quick_gelu', False)
    )
    if type(visual) is not VisionTransformer:
        raise ValueError(
            f'{model_name!r} has a {type(visual).__name__} as image tower, a '
            'Black Box needs a VisionTransformer.'
        )
    faults = {
        'an attention pool': visual.attn_pool is not None,
        f'{visual.pool_type!r} pooling': visual.pool_type != 'tok',
        'sequence-first blocks': not visual.transformer.batch_first,
        'patches that are not square': len(set(visual.patch_size)) > 1,
    }
    faults = [name for name, found in faults.items() if found]
    if faults:
        raise ValueError(
            f'{model_name!r} has {", ".join(faults)}: a Black Box needs a '
            'plain ViT that is read from its CLS token.'
        )
    return visual
