"""TimmBlackBox: sources of weights, grids of positions, refusals."""

from functools import partial

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from lore_mm.models.black_boxes import TimmBlackBox
from lore_mm.registry import MODELS

SMALL = dict(embed_dim=24, depth=2, num_heads=3)
CLIP = 'vit_base_patch32_clip_quickgelu_224'
DINO = 'vit_small_patch14_dinov2'
DINO_REG = 'vit_small_patch14_reg4_dinov2'
DISTILLED = 'deit_tiny_distilled_patch16_224'


@pytest.fixture
def save(tmp_path):
    """Factory ``save(model_name, **kwargs)`` -> (path, timm model)."""

    def make(name, **kwargs) -> tuple[str, VisionTransformer]:
        model = timm.create_model(name, **{**SMALL, **kwargs}).eval()
        path = tmp_path / 'weights.safetensors'
        save_file(model.state_dict(), path)
        return str(path), model

    return make


def test_builds_from_the_registry():
    black_box = MODELS.build(
        dict(type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=64)
    )
    assert black_box.patchify(torch.zeros(1, 3, 64, 64))[1] == (4, 4)
    assert black_box.describe() == 'TimmBlackBox(test_vit)'


@pytest.mark.parametrize(
    ('name', 'act_layer', 'note'),
    [
        ('test_vit', 'quick_gelu', ', QuickGELU'),
        ('test_vit', partial(nn.GELU, approximate='tanh'), ', GELU-tanh'),
        ('test_vit', 'gelu', ''),
        ('test_vit', None, ''),
        (CLIP, 'gelu', ', GELU'),
        (CLIP, 'quick_gelu', ''),
    ],
)
def test_another_activation_is_told(name, act_layer, note):
    """Weights alone do not tell two such models apart."""
    black_box = TimmBlackBox(
        name, img_size=64, act_layer=act_layer, **{**SMALL, 'depth': 1}
    )
    assert black_box.describe() == f'TimmBlackBox({name}{note})'


@pytest.mark.parametrize('name', [DINO, DINO_REG, DISTILLED, CLIP])
@pytest.mark.parametrize('img_size', [224, (448, 224)])
def test_loaded_weights_keep_their_grid(save, name, img_size):
    path, model = save(name)  # at its native 518 or 224 px
    grid = model.patch_embed.grid_size
    black_box = TimmBlackBox(name, checkpoint=path, img_size=img_size, **SMALL)
    assert black_box.model.patch_embed.grid_size == grid
    assert torch.equal(black_box.position_table, model.pos_embed)
    number = grid[0] * grid[1]
    if name != DINO_REG:
        number += black_box.num_prefix_tokens
    assert black_box.position_table.shape[1] == number


@pytest.mark.parametrize('name', [DINO, DINO_REG, DISTILLED])
def test_fingerprint_does_not_depend_on_the_input_size(save, name):
    path, _ = save(name)
    black_boxes = [
        TimmBlackBox(name, checkpoint=path, img_size=size, **SMALL)
        for size in (224, 112, (112, 448))
    ]
    assert len({black_box.fingerprint() for black_box in black_boxes}) == 1


@pytest.mark.parametrize('name', [DINO, DINO_REG, DISTILLED])
@torch.no_grad()
def test_weights_of_a_grid_that_is_not_square(save, name):
    patch = 16 if name == DISTILLED else 14
    size = (3 * patch, 5 * patch)
    path, model = save(name, img_size=size, num_classes=0)
    black_box = TimmBlackBox(name, checkpoint=path, img_size=size, **SMALL)
    img = torch.randn(2, 3, *size)
    assert torch.equal(black_box(img), model.forward_features(img))
    with pytest.raises(ValueError, match='15 positions: no square'):
        TimmBlackBox(name, checkpoint=path, img_size=224, **SMALL)


def test_hub_weights_keep_their_grid(save):
    path, model = save(DINO, num_classes=7)
    black_box = TimmBlackBox(
        DINO,
        pretrained=True,
        img_size=112,
        pretrained_cfg_overlay=dict(file=path, num_classes=7),
        **SMALL,
    )
    assert black_box.position_table.shape[1] == 1 + 37 * 37
    assert torch.equal(black_box.position_table, model.pos_embed)
    assert black_box.out_dims == 24


def test_clip_projection_is_kept(save):
    path, model = save(CLIP, num_classes=20)
    black_box = TimmBlackBox(CLIP, checkpoint=path, **SMALL)
    assert black_box.has_projection
    assert black_box.out_dims == 20
    img = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        projected = black_box.project(black_box(img)[:, 0])
        assert torch.equal(projected, model(img))


def test_clip_without_its_projection(save):
    path, _ = save(CLIP, num_classes=0)
    with pytest.raises(RuntimeError, match='missing: head.bias, head.weight'):
        TimmBlackBox(CLIP, checkpoint=path, **SMALL)
    black_box = TimmBlackBox(CLIP, checkpoint=path, projection=False, **SMALL)
    assert black_box.out_dims == 24


@pytest.mark.parametrize(
    ('name', 'kept'),
    [
        ('vit_base_patch16_clip_224.openai', True),
        ('vit_base_patch16_clip_224.openai_ft_in1k', False),
        ('vit_base_patch16_224.augreg_in21k', False),
    ],
)
def test_head_of_a_fine_tuned_clip_is_a_classifier(name, kept):
    black_box = TimmBlackBox(name, **SMALL)
    assert black_box.has_projection is kept
    # normalisation comes with the weights
    clip_mean = pytest.approx([122.77, 116.75, 104.09], abs=0.01)
    assert (black_box.mean == clip_mean) is ('clip' in name)


@pytest.mark.parametrize('name', ['test_vit', DISTILLED])
def test_classifier_is_dropped(save, name):
    path, model = save(name, num_classes=7)
    black_box = TimmBlackBox(name, checkpoint=path, **SMALL)
    names = black_box.model.state_dict().keys()
    assert not any(name.startswith('head') for name in names)
    assert torch.equal(black_box.model.norm.weight, model.norm.weight)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda s: s.pop('blocks.1.mlp.fc1.weight'),
            'missing: blocks.1.mlp.fc1.weight',
        ),
        (lambda s: s.pop('pos_embed'), 'missing: pos_embed'),
        (
            lambda s: s.update({'mask_token': torch.zeros(1)}),
            'unexpected: mask_token',
        ),
        (
            lambda s: s.update({'norm.weight': torch.zeros(3)}),
            'of another shape: norm.weight',
        ),
    ],
)
def test_strict_loading(save, tmp_path, change, message):
    state = save('test_vit')[1].state_dict()
    change(state)
    path = str(tmp_path / 'changed.pth')
    torch.save(state, path)
    with pytest.raises(RuntimeError, match=f'changed.pth.*{message}'):
        TimmBlackBox('test_vit', checkpoint=path, **SMALL)


def test_two_sources_of_weights():
    with pytest.raises(ValueError, match='two sources of weights'):
        TimmBlackBox('test_vit', pretrained=True, checkpoint='file')


@pytest.mark.parametrize(
    ('name', 'kwargs', 'message'),
    [
        ('resnet18', {}, "make a VisionTransformer of 'resnet18'"),
        ('eva02_tiny_patch14_224', {}, 'VisionTransformer.* is a Eva'),
        ('test_vit', {'depht': 3}, "unexpected keyword argument 'depht'"),
        ('test_vit', {'class_token': False, 'global_pool': ''}, 'no CLS'),
        ('test_vit', {'global_pool': 'avg'}, "it has 'avg' pooling"),
        ('test_vit', {'pos_embed': 'none'}, 'no position embedding'),
        ('test_vit', {'patch_drop_rate': 0.1}, 'dropped at random'),
        ('vit_small_patch16_18x2_224', {}, 'parallel blocks'),
        ('test_vit', {'patch_size': (16, 8)}, 'patches of 16 x 8'),
        (
            'test_vit',
            {'img_size': 60},
            'img_size must be a multiple of the patch size 16, got 60',
        ),
    ],
)
def test_refusals(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        TimmBlackBox(name, **kwargs)
