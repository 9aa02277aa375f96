"""Black Box around a Vision Transformer of timm."""

from difflib import get_close_matches

import timm
import torch
from timm.data import resolve_model_data_config
from timm.layers import PatchEmbed, resample_abs_pos_embed
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from lore_mm.registry import MODELS
from lore_mm.utils import SetupError

from .base import BlackBox, activations
from .weights import check_sources, load_weights, native_grid, strict_load

# timm names of CLIP towers carry `_clip_`; their `head` is the projection
# into the image-text space, not a classifier, unless the tag says fine-tuned.
_CLIP_NAME = '_clip_'
_FINE_TUNED = 'ft'


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
        img_size (int | tuple[int, int]): Input size (h, w) that random
            weights are made for. Loaded weights keep their own grid of
            positions, which is resampled to each input's size. Defaults to
            224.
        projection (bool, optional): Keep ``head`` as the CLS projection.
            Defaults to None: True for CLIP towers.
        frozen (bool): See :class:`BlackBox`. Defaults to True.
        **kwargs: Passed to :func:`timm.create_model`.

    Raises:
        ValueError: Not a plain ViT, ``img_size`` is no multiple of the patch,
            or ``pretrained`` and ``checkpoint`` are given together.
        SetupError: A key of the checkpoint is unexpected or missing.
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
        check_sources(pretrained, checkpoint)
        self.model_name = model_name
        if projection is None:
            projection = _has_projection(model_name, pretrained)
        state = load_weights(checkpoint) if checkpoint else None
        if not projection:
            kwargs['num_classes'] = 0
        elif state is not None and 'head.weight' in state:
            kwargs.setdefault('num_classes', len(state['head.weight']))
        if not pretrained:  # the hub's weights bring their own size
            kwargs['img_size'] = img_size
        self.model = _create(model_name, pretrained, kwargs)
        self.other_activation = _other_activation(
            self.model, kwargs, model_name
        )
        self._read_facts(projection)
        if state is not None:
            self._load(state, checkpoint)
        elif not pretrained:
            self.check_img_size(img_size)
        self.freeze()

    def _load(self, state: dict[str, Tensor], checkpoint: str) -> None:
        """Load weights at the size they were trained at."""
        if 'pos_embed' in state:  # strict_load names what is missing
            number = state['pos_embed'].shape[1] - self._num_prefix_positions
            patch_embed = self.model.patch_embed
            grid = native_grid(number, patch_embed.grid_size, checkpoint)
            size = tuple(side * self.patch_size for side in grid)
            self.model.set_input_size(img_size=size)
        drop = () if self.has_projection else ('head.', 'head_dist.')
        strict_load(self.model, state, checkpoint, drop)

    def _read_facts(self, projection: bool) -> None:
        model = self.model
        self.embed_dims = model.embed_dim
        self.num_layers = len(model.blocks)
        self.num_heads = model.blocks[0].attn.num_heads
        self.patch_size = model.patch_embed.patch_size[0]
        self.num_prefix_tokens = model.num_prefix_tokens
        self.has_pre_norm = not _is_off(model.norm_pre)
        self.has_projection = projection
        self.out_dims = (
            model.head.out_features if projection else self.embed_dims
        )
        data = resolve_model_data_config(model)
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
        prefix = [model.cls_token]
        if isinstance(model, VisionTransformerDistilled):
            prefix.append(model.dist_token)
        elif model.reg_token is not None:
            prefix.append(model.reg_token)
        prefix = [token.expand(patches.shape[0], -1, -1) for token in prefix]
        positions = self.positions(grid)
        if model.no_embed_class:
            tokens = torch.cat([*prefix, patches + positions], dim=1)
        else:
            tokens = torch.cat([*prefix, patches], dim=1) + positions
        return model.pos_drop(tokens)

    @property
    def position_table(self) -> Tensor:
        """See :attr:`BlackBox.position_table`."""
        return self.model.pos_embed

    @property
    def _num_prefix_positions(self) -> int:
        """Positions that belong to prefix tokens."""
        model = self.model
        return 0 if model.no_embed_class else model.num_prefix_tokens

    def resample_positions(self, grid: tuple[int, int]) -> Tensor:
        """See :meth:`BlackBox.resample_positions`."""
        return resample_abs_pos_embed(
            self.model.pos_embed,
            new_size=grid,
            old_size=self.model.patch_embed.grid_size,
            num_prefix_tokens=self._num_prefix_positions,
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

    def projection_weights(self) -> list[nn.Parameter]:
        """See :meth:`BlackBox.projection_weights`."""
        return list(self.model.head.parameters())  # none of an Identity

    def describe(self) -> str:
        """See :meth:`BlackBox.describe`."""
        return self._describe(self.model_name)


def _has_projection(model_name: str, pretrained: bool) -> bool:
    """Whether ``head`` is CLIP's projection and not a classifier."""
    if _CLIP_NAME not in model_name:
        return False
    tag = model_name.partition('.')[2]
    if not tag and pretrained:
        cfg = timm.get_pretrained_cfg(model_name)
        tag = cfg.tag if cfg else tag
    return _FINE_TUNED not in tag.split('_')


def _other_activation(
    model: VisionTransformer, kwargs: dict, model_name: str
) -> str:
    """Activation of ``model`` where ``kwargs`` set another than its own."""
    if kwargs.get('act_layer') is None:
        return ''
    kwargs = {k: v for k, v in kwargs.items() if k != 'act_layer'}
    with torch.device('meta'):
        own = _create(model_name, False, kwargs)
    found, named = (activations(m.blocks, 'mlp.act') for m in (model, own))
    return '' if found == named else found


def _is_off(module: nn.Module) -> bool:
    return isinstance(module, nn.Identity)


def _create(
    model_name: str, pretrained: bool, kwargs: dict
) -> VisionTransformer:
    """Build a plain ViT; ``dynamic_img_size`` opens all input sizes."""
    kwargs = {'dynamic_img_size': True, **kwargs}
    try:
        model = timm.create_model(model_name, pretrained=pretrained, **kwargs)
    except TypeError as error:  # an argument that the class does not have
        raise ValueError(
            f'timm cannot make a VisionTransformer of {model_name!r}: {error}.'
        ) from error
    except (
        RuntimeError,
        OSError,
    ) as error:  # unknown, or the hub is not there
        near = get_close_matches(model_name, timm.list_models(), n=3)
        help_ = (
            f'Weights of {model_name!r} without a hub: checkpoint=<file>.'
            if pretrained
            else f'Names like it: {", ".join(near) or "none"}.'
        )
        raise SetupError(
            f'timm cannot make {model_name!r}: {error}. {help_}'
        ) from error
    # a subclass might embed or order its tokens in another way
    if type(model) not in (VisionTransformer, VisionTransformerDistilled):
        raise ValueError(
            f'model_name must be a timm VisionTransformer, {model_name!r} is '
            f'a {type(model).__name__}.'
        )
    faults = _faults(model)
    if faults:
        raise ValueError(
            f'{model_name!r} is not the plain ViT that a Black Box needs: it '
            f'has {", ".join(faults)}.'
        )
    return model


def _faults(model: VisionTransformer) -> list[str]:
    """What keeps a ViT from being the plain one of a Black Box."""
    checks = {
        'no CLS token': model.cls_token is None,
        'no position embedding': model.pos_embed is None,
        'no plain patch embedding': type(model.patch_embed) is not PatchEmbed,
        'parallel blocks': not hasattr(model.blocks[0], 'attn'),
        # their last norm, if any, is not that of a token
        f'{model.global_pool!r} pooling and no class token that is read': (
            model.global_pool != 'token'
        ),
        'patches dropped at random': not _is_off(model.patch_drop),
    }
    faults = [name for name, found in checks.items() if found]
    height, width = model.patch_embed.patch_size
    if height != width:
        faults.append(f'patches of {height} x {width}')
    return faults
