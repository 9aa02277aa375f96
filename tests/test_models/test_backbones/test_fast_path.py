"""Prompts as keys and values give what prompts as tokens give."""

import itertools

import pytest
import torch

from lore_mm.models import TimmBlackBox
from lore_mm.models.backbones import base
from lore_mm.models.backbones.prompted_block import fast_block, plain_block
from lore_mm.models.black_boxes import standard_block
from lore_mm.models.white_box.presets import PRESETS

PRESET_NAMES = tuple(PRESETS)
OUT_TYPES = ('cls_token', 'featmap', 'raw', 'lore')
READ_LAYERS = (0, 2)


def run(model, img, fast, out_type):
    model.fast, model.out_type = fast, out_type
    return [x for x in model(img) if x is not None]


def gradients(model, outputs):
    """Gradients of the White Box under a loss that weighs all outputs."""
    generator = torch.Generator().manual_seed(1)
    loss = 0
    for x in outputs:
        weight = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        loss = loss + (x * weight).mean()
    return dict(
        zip(
            dict(model.white_box.named_parameters()),
            torch.autograd.grad(
                loss, list(model.white_box.parameters()), allow_unused=True
            ),
            strict=True,
        )
    )


@pytest.mark.parametrize('preset', PRESET_NAMES)
def test_eval(family, black_box, make_model, make_image, preset):
    img = make_image(black_box)
    for read_layer in READ_LAYERS:
        model = make_model(black_box, preset=preset, read_layer=read_layer)
        model.eval()
        for out_type in OUT_TYPES:
            with torch.no_grad():
                fast = run(model, img, True, out_type)
                plain = run(model, img, False, out_type)
            torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('preset', PRESET_NAMES)
def test_norms_of_queries_and_keys(make_model, make_image, preset):
    """No family above has them; prompts need them too."""
    black_box = TimmBlackBox('test_vit', img_size=64, qk_norm=True)
    for block in black_box.blocks:
        for norm in (block.attn.q_norm, block.attn.k_norm):
            norm.weight.data.normal_()
            norm.bias.data.normal_()
    model = make_model(black_box, preset=preset).eval()
    assert standard_block(black_box.blocks[0]) is not None
    img = make_image(black_box)
    with torch.no_grad():
        fast = run(model, img, True, 'raw')
        plain = run(model, img, False, 'raw')
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('preset', PRESET_NAMES)
def test_train_with_gradients(
    family, black_box, make_model, make_image, preset
):
    close = dict(rtol=1e-8, atol=1e-10)
    for read_layer in READ_LAYERS:
        model = make_model(
            black_box, double=True, preset=preset, read_layer=read_layer
        ).train()
        img = make_image(model.black_box)
        for out_type in OUT_TYPES:
            fast = run(model, img, True, out_type)
            plain = run(model, img, False, out_type)
            torch.testing.assert_close(fast, plain, **close)
            torch.testing.assert_close(
                gradients(model, fast), gradients(model, plain), **close
            )


@pytest.mark.parametrize('read_layer', READ_LAYERS)
def test_is_taken_for_every_family(
    family, black_box, make_model, make_image, monkeypatch, read_layer
):
    """Equal outputs alone would not show it."""
    counts = dict(fast=[], plain=0)

    def fast(view, tokens, pairs, num_queries=None):
        counts['fast'].append((len(pairs), num_queries))
        return fast_block(view, tokens, pairs, num_queries)

    def plain(*args):
        counts['plain'] += 1
        return plain_block(*args)

    monkeypatch.setattr(base, 'fast_block', fast)
    monkeypatch.setattr(base, 'plain_block', plain)
    model = make_model(black_box, read_layer=read_layer).eval()
    img = make_image(black_box)
    number = black_box.num_layers - read_layer
    run(model, img, True, 'cls_token')
    assert counts['fast'] == [(2, None)] * (number - 1) + [(2, 1)]
    assert counts['plain'] == 0
    counts['fast'].clear()
    run(model, img, True, 'featmap')  # patches need the whole last block
    assert counts['fast'] == [(2, None)] * number
    counts['fast'].clear()
    run(model, img, False, 'cls_token')
    assert counts['fast'] == []
    assert counts['plain'] == number


@pytest.mark.parametrize('out_type', ['cls_token', 'raw'])
@pytest.mark.parametrize('deep', [True, False])
@pytest.mark.parametrize(
    'number', list(itertools.product((0, 3), (0, 2))), ids=str
)
def test_any_number_of_prompts(
    plain_vit, make_model, make_image, number, deep, out_type
):
    img = make_image(plain_vit)
    model = make_model(
        plain_vit,
        num_global_prompts=number[0],
        num_local_prompts=number[1],
        deep=deep,
    ).eval()
    with torch.no_grad():
        fast = run(model, img, True, out_type)
        plain = run(model, img, False, out_type)
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)


def test_unknown_blocks_take_the_plain_path(plain_vit, make_model, make_image):
    class OwnBlock(type(plain_vit.blocks[0])):
        pass

    model = make_model(plain_vit).eval()
    img = make_image(plain_vit)
    with torch.no_grad():
        expected = model(img)[0]
        plain_vit.blocks[1].__class__ = OwnBlock
        assert standard_block(plain_vit.blocks[1]) is None
        torch.testing.assert_close(
            model(img)[0], expected, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize('preset', PRESET_NAMES)
@pytest.mark.parametrize('fast', [True, False])
@pytest.mark.parametrize('training', [True, False])
def test_bfloat16_autocast(
    plain_vit, make_model, make_image, preset, fast, training
):
    model = make_model(plain_vit, preset=preset).train(training)
    img = make_image(plain_vit)
    for out_type in OUT_TYPES:
        exact = run(model, img, fast, out_type)
        with (
            torch.set_grad_enabled(training),
            torch.autocast('cpu', torch.bfloat16),
        ):
            rounded = run(model, img, fast, out_type)
        for x, y in zip(rounded, exact, strict=True):
            assert torch.isfinite(x).all()
            error = (x.float() - y).norm() / y.norm()
            assert error < 0.1, (out_type, error)
        if training:
            grads = gradients(model, rounded)
            assert all(
                g is None or torch.isfinite(g).all() for g in grads.values()
            )
