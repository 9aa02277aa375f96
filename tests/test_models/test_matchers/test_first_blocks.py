"""Tokens of any layer."""

import pytest
import torch

WHITE_BOXES = [
    None,
    dict(type='lore_mm.WhiteBox', preset='released'),
    dict(type='lore_mm.WhiteBox', preset='paper'),
    dict(type='lore_mm.WhiteBox', preset='extended', read_layer=2),
]


def tokens_of_blocks(model, img):
    """Tokens after each block of a bare Black Box, by hand."""
    box = model.backbone.black_box
    patches, grid = box.patchify(img)
    tokens = box.pre_norm(box.embed(patches, grid))
    found = []
    for block in box.blocks:
        tokens = block(tokens)
        found.append(tokens)
    return found, grid


@pytest.mark.parametrize('norm', [True, False])
@torch.no_grad()
def test_layers_of_a_bare_vit(make_matcher, norm):
    img = torch.randn(2, 3, 64, 96)
    for layer in (1, 2, 3):
        model = make_matcher(layer=layer, norm=norm)
        found, (h, w) = tokens_of_blocks(model, img)
        wanted = found[layer - 1]
        if norm:
            wanted = model.backbone.black_box.norm(wanted)
        number = model.backbone.black_box.num_prefix_tokens
        wanted = wanted[:, number:].transpose(1, 2).unflatten(2, (h, w))
        assert model.token_map(img).equal(wanted)


@pytest.mark.parametrize('white_box', WHITE_BOXES)
@torch.no_grad()
def test_the_last_layer_is_the_backbone(make_matcher, white_box):
    model = make_matcher(white_box)
    img = torch.randn(2, 3, 64, 64)
    (wanted,) = model.backbone(img)
    assert model.token_map(img).equal(wanted)
    model.layer = 3
    assert model.token_map(img).equal(wanted)
    model.layer = 2
    assert not model.token_map(img).allclose(wanted, atol=1e-3)
    # Nothing is left behind.
    assert model.backbone(img)[0].equal(wanted)
    assert len(model.backbone.black_box.blocks) == 3


@torch.no_grad()
def test_before_the_prompts_enter_layers_are_those_of_the_bare_vit(
    make_matcher,
):
    img = torch.randn(1, 3, 64, 64)
    late = dict(
        type='lore_mm.WhiteBox',
        preset='extended',
        read_layer=2,
        global_layer=2,
    )
    torch.manual_seed(0)
    model = make_matcher(late)
    bare = make_matcher()
    bare.load_state_dict(model.state_dict(), strict=False)
    for layer, same in ((1, True), (2, True), (3, False)):
        model.layer = bare.layer = layer
        assert model.token_map(img).allclose(bare.token_map(img)) == same


@torch.no_grad()
def test_global_prompts_enter_before_the_lin_reads(make_matcher):
    img = torch.randn(1, 3, 64, 64)
    early = dict(type='lore_mm.WhiteBox', preset='extended', read_layer=2)
    torch.manual_seed(0)
    model = make_matcher(early)
    bare = make_matcher()
    bare.load_state_dict(model.state_dict(), strict=False)
    model.layer = bare.layer = 1
    first = model.token_map(img)
    assert not first.allclose(bare.token_map(img))
    model.backbone.white_box.global_prompts.zero_()
    assert not first.allclose(model.token_map(img))


@pytest.mark.parametrize('layer', [0, 4, -1, True])
def test_a_layer_that_is_not_there(make_matcher, layer):
    with pytest.raises(ValueError, match=r'layer must be in \[1, 3\], got'):
        make_matcher(layer=layer)


def test_weights_are_not_held_twice(make_matcher):
    model = make_matcher(layer=1)
    keys = set(model.state_dict())
    with torch.no_grad():
        model.token_map(torch.randn(1, 3, 64, 64))
    assert set(model.state_dict()) == keys
    assert all(key.startswith('backbone.black_box.model.') for key in keys)
