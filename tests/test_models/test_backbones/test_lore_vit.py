import copy

import pytest
import torch

from lore_mm.models import (
    LOREFeatures,
    LOREViT,
    TimmBlackBox,
    WhiteBox,
)
from lore_mm.registry import MODELS

OUT_TYPES = ('cls_token', 'featmap', 'raw', 'lore')
CLOSE = dict(rtol=1e-5, atol=1e-5)
VIT = dict(type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=64)


def read(model, img, out_type):
    model.out_type = out_type
    return model(img)


def expected_output(black_box, tokens, grid, out_type):
    """``tokens`` (B, P + N, C) after the last norm as ``out_type`` asks."""
    if out_type == 'lore':
        return black_box.project(tokens[:, 0])
    if out_type == 'cls_token':
        return tokens[:, 0]
    if out_type == 'raw':
        return tokens
    patches = tokens[:, black_box.num_prefix_tokens :]
    return patches.transpose(1, 2).unflatten(2, grid)


def only(output):
    return output[0]  # the tensor of a tuple, the CLS token of `lore`


# -- the bare Black Box --------------------------------------------------
@pytest.mark.parametrize('training', [True, False])
def test_without_white_box(family, black_box, make_image, training):
    """Not a bit differs from the Black Box."""
    model = LOREViT(black_box).train(training)
    img = make_image(black_box)
    tokens = black_box(img)
    for out_type in OUT_TYPES:
        output = read(model, img, out_type)
        expected = expected_output(black_box, tokens, (3, 4), out_type)
        assert torch.equal(only(output), expected), out_type
        if out_type == 'lore':
            assert output == LOREFeatures(output.cls_token)


@pytest.mark.parametrize('fast', [True, False])
@pytest.mark.parametrize('read_layer', [0, 2])
def test_no_prompts_equal_the_black_box(
    family, black_box, make_model, make_image, read_layer, fast
):
    model = make_model(
        black_box,
        read_layer=read_layer,
        num_global_prompts=0,
        num_local_prompts=0,
    ).eval()
    model.fast = fast
    img = make_image(black_box)
    output = read(model, img, 'raw')[0]
    assert torch.equal(output, black_box(img))
    features = read(model, img, 'lore')
    assert features.latent.shape == (3, black_box.embed_dims)


# -- prompts -------------------------------------------------------------
SETTINGS = {
    'released': dict(),
    'released after block 1': dict(read_layer=1),
    'released written later': dict(read_layer=1, write_layer=2),
    'written later than the patch embedding': dict(write_layer=2),
    'paper': dict(preset='paper'),
    'paper with shared prompts': dict(preset='paper', num_global_prompts=2),
    'paper after block 2': dict(preset='paper', read_layer=2),
    'extended': dict(preset='extended'),
    'extended after block 2': dict(preset='extended', read_layer=2),
    'global prompts first': dict(read_layer=1, write_layer=2, global_layer=0),
    'after the pre-norm': dict(before_pre_norm=False),
    'paper after the pre-norm': dict(preset='paper', before_pre_norm=False),
}


@pytest.mark.parametrize('setting', SETTINGS)
def test_prompts_equal_those_put_in_by_hand(
    family, black_box, make_model, make_image, reference, setting
):
    model = make_model(black_box, **SETTINGS[setting]).eval()
    img = make_image(black_box)
    white_box = model.white_box
    early = None
    if white_box.global_layer < white_box.write_layer:
        assert white_box.global_layer == 0
        early = white_box.global_prompts[: white_box.write_layer]
    with torch.no_grad():
        tokens = reference(
            black_box,
            img,
            model.explain(img).prompts,
            deep=white_box.deep,
            start=white_box.write_layer,
            before_pre_norm=white_box.before_pre_norm,
            early=early,
        )
        for out_type in OUT_TYPES:
            output = only(read(model, img, out_type))
            expected = expected_output(black_box, tokens, (3, 4), out_type)
            torch.testing.assert_close(output, expected, **CLOSE)
    assert (tokens - black_box(img)).abs().max() > 1e-2


@pytest.mark.parametrize('preset', ['released', 'paper'])
def test_pre_norm_of_prompts_matters_for_clip(
    make_case, make_model, make_image, preset
):
    outputs = {}
    for family in ('clip', 'vit'):
        black_box = make_case(family).black_box
        model = make_model(black_box, preset=preset).eval()
        img = make_image(black_box)
        with torch.no_grad():
            before = model(img)[0]
            model.white_box.before_pre_norm = False
            model.eval()  # constants of the global prompts are dropped
            outputs[family] = before, model(img)[0]
    assert not torch.allclose(*outputs['clip'], atol=1e-3)
    assert torch.equal(*outputs['vit'])


# -- what the White Box reads --------------------------------------------
def seen(model, img, monkeypatch):
    """What reaches the White Box."""
    inputs = []
    forward = model.white_box.forward

    def spy(patches, **kwargs):
        inputs.append(patches)
        return forward(patches, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(model.white_box, 'forward', spy)
        model(img)
        model.explain(img)
    assert torch.equal(*inputs)
    return inputs[0]


@pytest.mark.parametrize('read_layer', [0, 1, 2])
@pytest.mark.parametrize('position', [True, False])
def test_input_of_the_white_box(
    family,
    black_box,
    make_model,
    make_image,
    monkeypatch,
    position,
    read_layer,
):
    model = make_model(
        black_box, position=position, read_layer=read_layer
    ).eval()
    img = make_image(black_box)
    patches, grid = black_box.patchify(img)
    tokens = black_box.embed(patches, grid)
    expected = tokens[:, black_box.num_prefix_tokens :]
    if read_layer == 0 and not position:
        expected = patches
    if read_layer:
        tokens = black_box.pre_norm(tokens)
        for block in black_box.blocks[:read_layer]:
            tokens = block(tokens)
        expected = tokens[:, black_box.num_prefix_tokens :]
    assert torch.equal(seen(model, img, monkeypatch), expected)


# -- what comes out ------------------------------------------------------
@pytest.mark.parametrize('preset', ['released', 'paper', 'extended'])
def test_features_for_the_neck(plain_vit, make_model, make_image, preset):
    model = make_model(plain_vit, 'lore', preset=preset)
    img = make_image(plain_vit)
    features = model.train()(img)
    assert isinstance(features, LOREFeatures)
    assert features.tokens.shape == (3, 12, plain_vit.embed_dims)
    assert features.latent.shape == (3, plain_vit.embed_dims)
    assert features.cls_token.shape == (3, plain_vit.out_dims)
    assert features.prototypes is None
    features = model.eval()(img)
    assert features.tokens is None
    explained = model.explain(img)
    assert explained.tokens.shape == (3, 12, plain_vit.embed_dims)
    torch.testing.assert_close(explained.latent, features.latent, **CLOSE)


def test_projection_is_for_lore_only(make_case, make_model, make_image):
    black_box = make_case('clip').black_box
    model = make_model(black_box).eval()
    img = make_image(black_box)
    assert read(model, img, 'cls_token')[0].shape == (3, 48)
    assert read(model, img, 'lore').cls_token.shape == (3, 20)


@pytest.mark.parametrize('kind', ['clip', 'open-clip', 'vit'])
@pytest.mark.parametrize('out_type', OUT_TYPES)
def test_what_is_trained_of_a_black_box_is_used(
    make_case, make_image, kind, out_type
):
    """Several processes wait for a gradient of each trained weight."""
    case = make_case(kind, frozen=False)
    model = LOREViT(case.black_box, out_type=out_type)
    only(model(make_image(case.black_box))).square().sum().backward()
    idle = {
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is None
    }
    assert not idle


@pytest.mark.parametrize('preset', ['released', 'paper', 'extended'])
@pytest.mark.parametrize('height, width', [(2, 5), (4, 4), (6, 1)])
def test_any_size(plain_vit, make_model, make_image, preset, height, width):
    model = make_model(plain_vit, 'featmap', preset=preset).eval()
    img = make_image(plain_vit, height, width)
    (features,) = model(img)
    assert features.shape == (3, plain_vit.embed_dims, height, width)
    assert features.is_contiguous()


def test_no_multiple_of_the_patch_size(plain_vit, make_model):
    model = make_model(plain_vit)
    with pytest.raises(ValueError, match='multiples of the patch size 16'):
        model(torch.randn(1, 3, 64, 40))


def test_one_image_does_not_change_another(plain_vit, make_model, make_image):
    model = make_model(plain_vit).eval()
    img = make_image(plain_vit)
    with torch.no_grad():
        torch.testing.assert_close(
            model(img)[0][1:], model(img[1:])[0], **CLOSE
        )


# -- the Black Box stays as it is ----------------------------------------
def test_black_box_never_leaves_eval_mode(plain_vit, make_model):
    model = make_model(plain_vit)
    assert model.train() is model
    assert model.white_box.training
    assert not any(m.training for m in model.black_box.modules())
    assert not model.eval().white_box.training


def test_init_weights_leaves_both_boxes(plain_vit, make_model):
    """mmengine would re-initialise a timm ViT that it finds."""
    model = make_model(plain_vit)
    before = copy.deepcopy(model.state_dict())
    model.init_weights()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_trainable_weights_are_the_white_box():
    model = LOREViT(VIT, dict(type='lore_mm.WhiteBox'))
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == name.startswith('white_box.'), name


# -- building ------------------------------------------------------------
def test_built_from_configs_and_from_modules():
    cfg = dict(
        type='lore_mm.LOREViT',
        black_box=VIT,
        white_box=dict(type='lore_mm.WhiteBox', preset='paper'),
    )
    model = MODELS.build(cfg)
    assert isinstance(model.black_box, TimmBlackBox)
    facts = model.black_box
    assert model.white_box.embed_dims == model.embed_dims == facts.embed_dims
    parts = LOREViT(model.black_box, WhiteBox(facts.embed_dims, 6), 'raw')
    assert parts.black_box is model.black_box
    assert parts(torch.rand(2, 3, 64, 64))[0].shape == (2, 17, 64)


def test_errors():
    with pytest.raises(ValueError, match="out_type must be .* got 'cls'"):
        LOREViT(VIT, out_type='cls')
    for size, name in (((32, 6), 'embed_dims'), ((64, 12), 'num_layers')):
        with pytest.raises(ValueError, match=f"White Box's {name} is"):
            LOREViT(VIT, WhiteBox(*size))
    model = LOREViT(VIT)
    with pytest.raises(ValueError, match='white_box is None'):
        model.explain(torch.rand(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r'read_layer must be in \[0, 5\]'):
        LOREViT(VIT, dict(type='lore_mm.WhiteBox', read_layer=6))
    with pytest.raises(ValueError, match=r'global_layer must be in \[0, 3\]'):
        white_box = dict(type='lore_mm.WhiteBox', read_layer=3, global_layer=4)
        LOREViT(VIT, white_box)
    with pytest.raises(ValueError, match=r'write_layer must be in \[3, 5\]'):
        white_box = dict(type='lore_mm.WhiteBox', read_layer=3, write_layer=2)
        LOREViT(VIT, white_box)
