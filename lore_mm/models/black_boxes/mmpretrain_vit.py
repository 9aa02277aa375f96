"""Black Box around a Vision Transformer of mmpretrain."""

import copy
from collections.abc import Sequence

import torch
from mmengine.registry import DefaultScope
from mmpretrain.apis import ModelHub
from mmpretrain.models import DistilledVisionTransformer, VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from lore_mm.registry import MODELS

from .base import IMAGENET_MEAN, IMAGENET_STD, BlackBox, activations
from .weights import (
    check_sources,
    load_weights,
    native_grid,
    strict_load,
    take_part,
    unwrap,
)

_CLASSES = {
    kind.__name__: kind
    for kind in (VisionTransformer, DistilledVisionTransformer)
}

# Parts of an mmpretrain checkpoint beside its backbone: classifier, decoder
# of a pre-training task, normalisation.
_OTHER_PARTS = ('head.', 'neck.', 'data_preprocessor.')


_ACTIVATION = 'GELU'  # of a layer whose config names none


@MODELS.register_module()
class MMPretrainBlackBox(BlackBox):
    """A ``VisionTransformer`` or ``DistilledVisionTransformer`` of mmpretrain.

    Args:
        backbone (dict, optional): Config of mmpretrain's backbone, for
            example ``dict(type='VisionTransformer', arch='base')``.
        model_name (str, optional): A name of ``mmpretrain.list_models``
            instead of ``backbone``; brings mean and std, too.
        pretrained (bool): Download the weights of ``model_name``. Defaults to
            False.
        checkpoint (str, optional): A local file instead, of the backbone or
            of a whole mmpretrain model, whose head is dropped: safetensors,
            or a torch file that loads with ``weights_only=True``. Defaults to
            None.
        img_size (int | tuple[int, int]): Input size (h, w) that random
            weights are made for, if ``backbone`` names none. Loaded weights
            keep their own grid of positions. Defaults to 224.
        mean (Sequence[float], optional): RGB mean in 0..255 that the weights
            were trained with. Defaults to None: that of ``model_name``, or of
            ImageNet.
        std (Sequence[float], optional): As ``mean``.
        frozen (bool): See :class:`BlackBox`. Defaults to True.

    Raises:
        ValueError: Another backbone, one without a CLS token, not just one of
            ``backbone`` and ``model_name``, or two sources of weights.
        SetupError: A key of the checkpoint is unexpected or missing.
    """

    def __init__(
        self,
        backbone: dict | None = None,
        model_name: str | None = None,
        pretrained: bool = False,
        checkpoint: str | None = None,
        img_size: int | tuple[int, int] = 224,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__(frozen)
        check_sources(pretrained, checkpoint)
        if (backbone is None) == (model_name is None):
            raise ValueError(
                'give one of backbone and model_name, got '
                f'backbone={backbone} and model_name={model_name!r}.'
            )
        if pretrained and model_name is None:
            raise ValueError(
                'pretrained=True needs model_name, the name that mmpretrain '
                'lists the weights under; or give a file as checkpoint.'
            )
        zoo = {} if model_name is None else _from_zoo(model_name)
        cfg = _check_cfg(zoo.get('backbone', backbone))
        cfg.setdefault('img_size', img_size)
        source = zoo['weights'] if pretrained else checkpoint
        if pretrained or checkpoint:
            state = _download(source) if pretrained else load_weights(source)
            state = take_part(state, 'backbone.', _OTHER_PARTS)
            _keep_grid(cfg, state, source)
        self.model = _create(cfg)
        if model_name is None:  # a name of the zoo brings its own
            found = activations(self.blocks, 'ffn.layers.0.1')
            self.other_activation = '' if found == _ACTIVATION else found
        self.name = model_name or f'{cfg["type"].__name__}, {cfg["arch"]}'
        self._read_facts()
        self.mean = tuple(mean or zoo.get('mean', IMAGENET_MEAN))
        self.std = tuple(std or zoo.get('std', IMAGENET_STD))
        if pretrained or checkpoint:
            strict_load(self.model, state, source)
        else:
            self.check_img_size(cfg['img_size'])
            # mmpretrain leaves them 0 until init_weights, which would not
            # be called below a plain module
            nn.init.trunc_normal_(self.model.pos_embed, std=0.02)
        self.freeze()

    def _read_facts(self) -> None:
        model = self.model
        self.embed_dims = model.embed_dims
        self.num_layers = model.num_layers
        self.num_heads = model.arch_settings['num_heads']
        self.patch_size = model.patch_embed.projection.kernel_size[0]
        self.num_prefix_tokens = model.num_extra_tokens
        self.has_pre_norm = not isinstance(model.pre_norm, nn.Identity)
        self.out_dims = self.embed_dims

    @property
    def blocks(self) -> nn.ModuleList:
        """The backbone's own layers."""
        return self.model.layers

    def patchify(self, img: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """See :meth:`BlackBox.patchify`."""
        self.check_size(img)
        return self.model.patch_embed(img)

    def embed(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """See :meth:`BlackBox.embed`."""
        model = self.model
        prefix = [model.cls_token]
        if isinstance(model, DistilledVisionTransformer):
            prefix.append(model.dist_token)
        prefix = [token.expand(patches.shape[0], -1, -1) for token in prefix]
        tokens = torch.cat([*prefix, patches], dim=1) + self.positions(grid)
        return model.drop_after_pos(tokens)

    @property
    def position_table(self) -> Tensor:
        """See :attr:`BlackBox.position_table`."""
        return self.model.pos_embed

    def resample_positions(self, grid: tuple[int, int]) -> Tensor:
        """See :meth:`BlackBox.resample_positions`."""
        return resize_pos_embed(
            self.model.pos_embed,
            self.model.patch_resolution,
            grid,
            mode=self.model.interpolate_mode,
            num_extra_tokens=self.num_prefix_tokens,
        )

    def pre_norm(self, tokens: Tensor) -> Tensor:
        """See :meth:`BlackBox.pre_norm`."""
        return self.model.pre_norm(tokens)

    def norm(self, tokens: Tensor) -> Tensor:
        """See :meth:`BlackBox.norm`."""
        return self.model.ln1(tokens) if self.model.final_norm else tokens

    def describe(self) -> str:
        """See :meth:`BlackBox.describe`."""
        return self._describe(self.name)


def _from_zoo(model_name: str) -> dict:
    """Backbone config, mean, std and address of the weights of a name."""
    info = ModelHub.get(model_name)  # ValueError for an unknown name
    data = info.config.get('data_preprocessor', {})
    return dict(
        backbone=info.config.model.backbone.to_dict(),
        mean=data.get('mean', IMAGENET_MEAN),
        std=data.get('std', IMAGENET_STD),
        weights=info.weights,
    )


def _check_cfg(backbone: dict) -> dict:
    """A copy of the backbone config whose ``type`` is a class we know."""
    cfg = copy.deepcopy(dict(backbone))
    kind = cfg.get('type')
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', '')
    cfg['type'] = _CLASSES.get(name.rpartition('.')[2])
    if cfg['type'] is None:
        raise ValueError(
            f'the type of backbone must be one of {list(_CLASSES)}, got '
            f'{kind!r}.'
        )
    init_cfg = cfg.pop('init_cfg', None) or []
    for item in init_cfg if isinstance(init_cfg, list) else [init_cfg]:
        if item.get('type') == 'Pretrained':
            raise ValueError(
                'init_cfg of type Pretrained loads weights without a check; '
                'give its file as checkpoint.'
            )
    if not cfg.get('with_cls_token', True):
        raise ValueError('backbone needs with_cls_token=True.')
    if cfg.get('pre_norm') and cfg['type'] is DistilledVisionTransformer:
        raise ValueError('a DistilledVisionTransformer has no pre_norm.')
    cfg.setdefault('arch', 'base')
    return {**cfg, 'out_type': 'raw', 'out_indices': -1, 'frozen_stages': -1}


def _download(url: str | None) -> dict[str, Tensor]:
    """Weights from mmpretrain's zoo, kept in torch's hub folder."""
    if url is None:
        raise ValueError('mmpretrain lists no weights for this model_name.')
    content = torch.hub.load_state_dict_from_url(
        url, map_location='cpu', check_hash=True, weights_only=True
    )
    return unwrap(content, url)


def _keep_grid(cfg: dict, state: dict[str, Tensor], source: str) -> None:
    """Set ``img_size`` to the size the weights were trained at."""
    weight = state.get('patch_embed.projection.weight')
    if weight is None or 'pos_embed' not in state:
        return  # strict_load names what is missing
    patch, size = weight.shape[-1], cfg['img_size']
    sides = (size, size) if isinstance(size, int) else size
    number = state['pos_embed'].shape[1] - cfg['type'].num_extra_tokens
    other = (sides[0] // patch, sides[1] // patch)
    grid = native_grid(number, other, source)
    cfg['img_size'] = tuple(side * patch for side in grid)


def _create(cfg: dict) -> VisionTransformer:
    """Build the backbone; its patches must tile the image."""
    cfg = dict(cfg)
    kind = cfg.pop('type')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = kind(**cfg)
    conv = model.patch_embed.projection
    plain = (conv.kernel_size[0],) * 2
    if not (conv.kernel_size == conv.stride == plain) or any(conv.padding):
        raise ValueError(
            'patches must be square and tile the image, got kernel_size='
            f'{conv.kernel_size}, stride={conv.stride}, padding='
            f'{conv.padding}.'
        )
    return model
