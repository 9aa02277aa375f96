"""Attention weights are those that the blocks use."""

import pytest
import torch

from lore_mm.models import LoRAViT, LOREViT, PromptedViT
from lore_mm.models.backbones.attention import (
    attention_of_blocks,
    block_inputs,
    rollout,
)
from lore_mm.models.black_boxes.pre_norm_block import standard_block

CLOSE = dict(rtol=1e-5, atol=1e-6)


def values_of(view, tokens):
    dims = tokens.shape[-1]
    bias = None if view.qkv_bias is None else view.qkv_bias[2 * dims :]
    value = torch.nn.functional.linear(
        view.norm1(tokens), view.qkv_weight[2 * dims :], bias
    )
    return value.unflatten(-1, (view.num_heads, -1)).transpose(1, 2)


@pytest.mark.parametrize('preset', ['released', 'paper', 'extended'])
def test_weights_give_the_output_of_each_block(
    family, black_box, make_model, make_image, preset
):
    model = make_model(black_box, preset=preset).eval()
    img = make_image(black_box)
    weights = attention_of_blocks(model, img)
    with torch.no_grad():
        prompts = model.prompts_for(img)
        inputs = list(block_inputs(model, img, prompts))
        ends = [tokens for tokens, _ in inputs[1:]]
        for index, (tokens, own) in enumerate(inputs[:-1]):
            view = standard_block(black_box.blocks[index])
            joint = tokens if own is None else torch.cat([tokens, own], 1)
            mixed = weights[index] @ values_of(view, joint)
            mixed = mixed.transpose(1, 2).flatten(2)
            out = tokens + view.scale1(view.proj(mixed))
            out = out + view.scale2(view.mlp(view.norm2(out)))
            torch.testing.assert_close(out, ends[index], **CLOSE)


def test_equal_to_an_unfused_forward(plain_vit, make_model, make_image):
    model = make_model(plain_vit, preset='released').eval()
    model.fast = False
    img = make_image(plain_vit)
    found = attention_of_blocks(model, img)
    seen = []
    for block in plain_vit.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(
            lambda module, args, out: seen.append(args[0])
        )
    with torch.no_grad():
        model(img)
    prefix, number = plain_vit.num_prefix_tokens, model.white_box.num_prompts
    for weights, each in zip(found, seen, strict=True):
        place = list(range(each.shape[-1]))
        own = place[prefix : prefix + number]
        tokens = place[:prefix] + place[prefix + number :]
        expected = each[:, :, tokens][..., tokens + own]
        torch.testing.assert_close(weights, expected, **CLOSE)


def test_bare_and_prompted(plain_vit, make_image):
    img = make_image(plain_vit)
    vpt = PromptedViT(plain_vit, num_prompts=4).eval()
    number = 12 + plain_vit.num_prefix_tokens
    bare = attention_of_blocks(vpt, img, bare=True)
    assert bare[0].shape == (3, plain_vit.num_heads, number, number)
    same = attention_of_blocks(LOREViT(plain_vit), img)
    torch.testing.assert_close(bare, same)
    prompted = attention_of_blocks(vpt, img)
    assert prompted[-1].shape[-1] == number + 4
    ones = torch.ones(prompted[-1].shape[:-1])
    torch.testing.assert_close(prompted[-1].sum(-1), ones)


def test_nothing_is_left_behind(plain_vit, make_model, make_image):
    model = make_model(plain_vit, preset='extended')
    model.train()
    attention_of_blocks(model, make_image(plain_vit))
    assert model.white_box.training
    assert not any(m._forward_hooks for m in model.modules())


def test_unknown_blocks_are_named(plain_vit, make_image):
    img = make_image(plain_vit)
    plain_vit.blocks[1].attn.register_forward_hook(lambda *a: None)
    with pytest.raises(ValueError, match='standard pre-norm blocks.*Block'):
        attention_of_blocks(LOREViT(plain_vit), img)


def test_weights_changed_by_lora_are_refused(make_case, make_image):
    black_box = make_case('vit').black_box
    with pytest.raises(ValueError, match='got LoRAViT, which changes the'):
        attention_of_blocks(LoRAViT(black_box, rank=2), make_image(black_box))


def test_rollout_by_hand():
    torch.manual_seed(0)
    weights = [torch.rand(2, 3, 4, 6).softmax(-1) for _ in range(2)]
    found = rollout(weights)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 4))
    steps = []
    for each in weights:
        mean = each[0, :, :, :4].mean(0)
        mean = mean / mean.sum(1, keepdim=True)
        steps.append(0.5 * mean + 0.5 * torch.eye(4))
    torch.testing.assert_close(found[0], steps[1] @ steps[0])
