"""LoRAViT: starts at the frozen ViT, changes it as mmpretrain's layer does."""

import pytest
import torch
from mmpretrain.models.peft.lora import LoRALinear
from torch import nn

from lore_mm.models import LoRAViT, TimmBlackBox

TIMM = dict(type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=32)
OPEN_CLIP = dict(
    type='lore_mm.OpenCLIPBlackBox', model_name='ViT-S-32-alt', img_size=64
)
MMPRETRAIN = dict(
    type='lore_mm.MMPretrainBlackBox',
    backbone=dict(type='VisionTransformer', arch='deit-tiny', img_size=32),
)


@pytest.fixture
def img() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 3, 64, 64)


def disturbed(box: dict) -> LoRAViT:
    """Changes that are no longer zero."""
    torch.manual_seed(0)
    model = LoRAViT(box, rank=4, alpha=8, out_type='raw')
    nn.init.normal_(model.lora_up, std=0.3)
    return model


@pytest.mark.parametrize('box', [TIMM, MMPRETRAIN, OPEN_CLIP])
def test_starts_at_the_frozen_vit(box, img) -> None:
    model = LoRAViT(box, out_type='raw').eval()
    with torch.no_grad():
        assert torch.equal(model(img)[0], model.black_box(img))
        other = disturbed(box).eval()
        assert not torch.allclose(other(img)[0], other.black_box(img))


def test_equals_the_layer_of_mmpretrain(img) -> None:
    model = disturbed(TIMM).eval()
    box = TimmBlackBox('test_vit', img_size=32)
    box.load_state_dict(model.black_box.state_dict())
    for i, block in enumerate(box.blocks):
        layer = LoRALinear(block.attn.qkv, alpha=8, rank=4)
        layer.lora_down.weight.data = model.lora_down[i].data
        layer.lora_up.weight.data = model.lora_up[i].data
        block.attn.qkv = layer
    with torch.no_grad():
        torch.testing.assert_close(model(img)[0], box(img))


@pytest.mark.parametrize('box', [TIMM, OPEN_CLIP])
def test_gradients_reach_the_changes_alone(box, img) -> None:
    model = disturbed(box).train()
    before = model.black_box.fingerprint()
    model(img)[0].square().mean().backward()
    named = dict(model.named_parameters())
    trained = {k for k, p in named.items() if p.requires_grad}
    assert trained == {'lora_down', 'lora_up'}
    for key in trained:
        assert (named[key].grad.flatten(1).norm(dim=1) > 0).all()
    assert not any(p.grad is not None for p in model.black_box.parameters())
    assert model.black_box.fingerprint() == before


def test_outputs(img) -> None:
    model = LoRAViT(TIMM, out_type='featmap').eval()
    side = 64 // model.black_box.patch_size
    assert model(img)[0].shape == (2, model.embed_dims, side, side)
    model = LoRAViT(TIMM, out_type='lore').eval()
    assert model(img).cls_token.shape == (2, model.embed_dims)
    assert model(img).latent is None


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match='rank must be at least 1, got 0'):
        LoRAViT(TIMM, rank=0)
    box = TimmBlackBox('test_vit', img_size=32)
    box.blocks[1].register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match='does not know the maps of block 1'):
        LoRAViT(box)
