"""Tiny Black Boxes of every family beside the library's own forward."""

from collections.abc import Callable
from dataclasses import dataclass

import open_clip
import open_clip.factory
import pytest
import timm
import torch
from mmpretrain.models import DistilledVisionTransformer, VisionTransformer
from torch import Tensor, nn

from lore_mm.models.black_boxes import (
    BlackBox,
    MMPretrainBlackBox,
    OpenCLIPBlackBox,
    TimmBlackBox,
)

SMALL = dict(embed_dim=48, depth=3, num_heads=4)
TIMM = {
    'vit': ('test_vit', {}),
    'clip': (
        'vit_base_patch32_clip_quickgelu_224',
        dict(num_classes=20, **SMALL),
    ),
    'deit': ('deit_tiny_patch16_224', SMALL),
    'deit-distilled': ('deit_tiny_distilled_patch16_224', SMALL),
    'deit3': ('deit3_small_patch16_224', SMALL),
    'dinov2': ('vit_small_patch14_dinov2', SMALL),
    'dinov2-reg': ('vit_small_patch14_reg4_dinov2', SMALL),
}

OPEN_CLIP = 'tiny-ViT-for-tests'
OPEN_CLIP_CFG = dict(
    embed_dim=20,
    quick_gelu=True,
    vision_cfg=dict(
        image_size=32, layers=3, width=48, head_width=12, patch_size=8
    ),
    text_cfg=dict(
        context_length=8, vocab_size=100, width=24, heads=2, layers=1
    ),
)

ARCH = dict(embed_dims=48, num_layers=3, num_heads=4, feedforward_channels=96)
MMPRETRAIN = {
    'mm-vit': dict(type='VisionTransformer', patch_size=8),
    'mm-clip': dict(type='VisionTransformer', patch_size=8, pre_norm=True),
    'mm-dinov2': dict(
        type='mmpretrain.VisionTransformer',
        patch_size=14,
        layer_scale_init_value=1e-5,
    ),
    'mm-deit-distilled': dict(type='DistilledVisionTransformer'),
}

FAMILIES = [*TIMM, 'open-clip', *MMPRETRAIN]
SIDE = 4  # native grid of the tiny models


@dataclass
class Case:
    """A Black Box and what its library makes of an image.

    Attributes:
        black_box: With random weights, all of them far from their defaults.
        library: Image (B, 3, H, W) to tokens (B, P + N, C), by a model that
            the library built and that holds the same weights.
        resizes: Whether the library takes other sizes than its native one.
    """

    black_box: BlackBox
    library: Callable[[Tensor], Tensor]
    resizes: bool = True

    def image(self, height: int = SIDE, width: int = SIDE) -> Tensor:
        """Two random images of height x width patches."""
        patch = self.black_box.patch_size
        return torch.randn(2, 3, height * patch, width * patch)


def scramble(model: nn.Module) -> None:
    """Random weights: layer scales of 1e-5 would hide whole branches."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)


def _timm_case(name: str, **kwargs) -> Case:
    model_name, extra = TIMM[name]
    patch = timm.create_model(model_name, **extra).patch_embed.patch_size[0]
    size = SIDE * patch
    black_box = TimmBlackBox(model_name, img_size=size, **extra, **kwargs)
    scramble(black_box)
    library = timm.create_model(
        model_name,
        img_size=size,
        dynamic_img_size=True,
        **{'num_classes': 0, **extra},
    ).eval()
    library.load_state_dict(black_box.model.state_dict())
    return Case(black_box, library.forward_features)


def _open_clip_case(**kwargs) -> Case:
    black_box = OpenCLIPBlackBox(OPEN_CLIP, img_size=32, **kwargs)
    scramble(black_box)
    visual = open_clip.create_model(OPEN_CLIP, load_weights=False).visual
    visual.load_state_dict(black_box.visual.state_dict())
    visual.eval().output_tokens = True

    def library(img: Tensor) -> Tensor:
        hidden = visual.transformer(visual._embeds(img))
        tokens = visual.ln_post(hidden)
        pooled, patches = visual(img)
        assert torch.equal(tokens[:, 0] @ visual.proj, pooled)
        assert torch.equal(tokens[:, 1:], patches)
        return tokens

    return Case(black_box, library, resizes=False)


def _mmpretrain_case(name: str, **kwargs) -> Case:
    cfg = dict(MMPRETRAIN[name], arch=ARCH)
    size = SIDE * cfg.get('patch_size', 16)
    black_box = MMPretrainBlackBox(cfg, img_size=size, **kwargs)
    scramble(black_box)
    kind = cfg.pop('type').rpartition('.')[2]
    kinds = (VisionTransformer, DistilledVisionTransformer)
    kind = {k.__name__: k for k in kinds}[kind]
    library = kind(**cfg, img_size=size, out_type='raw')
    library.eval()
    library.load_state_dict(black_box.model.state_dict())
    return Case(black_box, lambda img: library(img)[0])


@pytest.fixture(autouse=True)
def tiny_open_clip(monkeypatch: pytest.MonkeyPatch) -> str:
    """Register the tiny open_clip model and return its name."""
    monkeypatch.setitem(
        open_clip.factory._MODEL_CONFIGS, OPEN_CLIP, OPEN_CLIP_CFG
    )
    return OPEN_CLIP


@pytest.fixture
def make_case() -> Callable[..., Case]:
    """Factory ``make(family, **black_box_kwargs)`` of cases."""

    def make(family: str, **kwargs) -> Case:
        torch.manual_seed(0)
        if family in TIMM:
            return _timm_case(family, **kwargs)
        if family in MMPRETRAIN:
            return _mmpretrain_case(family, **kwargs)
        return _open_clip_case(**kwargs)

    return make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``family`` once per family."""
    if 'family' in metafunc.fixturenames:
        metafunc.parametrize('family', FAMILIES)


@pytest.fixture
def case(family: str, make_case: Callable[..., Case]) -> Case:
    """The frozen case of a family."""
    return make_case(family)
