"""Prompts start at the mean patch tokens of the bare ViT."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from lore_mm.engine.hooks import PromptStartHook
from lore_mm.engine.hooks.prompt_start_hook import patch_means, start_prompts
from lore_mm.registry import HOOKS

CLIP = dict(
    type='lore_mm.TimmBlackBox',
    model_name='vit_base_patch16_clip_quickgelu_224',
    embed_dim=32,
    depth=3,
    num_heads=2,
)
PLAIN = dict(
    type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=32, depth=3
)


def lore(box=PLAIN, **white_box):
    return MODELS.build(
        dict(
            type='lore_mm.LOREViT',
            black_box=box,
            white_box=dict(type='lore_mm.WhiteBox', **white_box),
        )
    ).eval()


def vpt(box=PLAIN, **kwargs):
    return MODELS.build(
        dict(type='lore_mm.PromptedViT', black_box=box, **kwargs)
    ).eval()


def tokens_before_blocks(box, img, before_pre_norm=True):
    """Mean patch token before each block, by hooks on the blocks."""
    seen = []
    handles = [
        block.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
        for block in box.blocks
    ]
    box(img)
    for handle in handles:
        handle.remove()
    if before_pre_norm:
        seen[0] = box.embed(*box.patchify(img))
    number = box.num_prefix_tokens
    return torch.stack([x[:, number:].mean(1) for x in seen], dim=1)


@pytest.mark.parametrize('cfg', [PLAIN, CLIP], ids=['plain', 'clip'])
@pytest.mark.parametrize('before', [True, False])
def test_means_are_those_of_the_bare_vit(cfg, before):
    torch.manual_seed(0)
    box = MODELS.build(cfg)
    img = torch.randn(2, 3, 32, 48)
    found = patch_means(box, img, before)
    wanted = tokens_before_blocks(box, img, before)
    assert found.shape == (2, 3, box.embed_dims)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    if cfg is CLIP and before:
        after = patch_means(box, img, False)
        assert not torch.allclose(found[:, 0], after[:, 0])


@pytest.mark.parametrize('deep', [True, False])
def test_prompted_vit(deep):
    model = vpt(deep=deep, num_prompts=4)
    before = model.prompts.detach().clone()
    means = torch.randn(3, 64, dtype=torch.float64)
    start_prompts(model, means, gain=0.1)
    layers = 3 if deep else 1
    wanted = before + means[:layers, None].float()
    torch.testing.assert_close(model.prompts.detach(), wanted)


@pytest.mark.parametrize(
    'white_box,layers',
    [
        (dict(), slice(0, 3)),
        (dict(norm='layer'), slice(0, 3)),
        (dict(read_layer=1), slice(1, 3)),
        (dict(read_layer=1, write_layer=2), slice(2, 3)),
        (dict(preset='paper', num_global_prompts=2), slice(0, 1)),
        (
            dict(preset='paper', num_global_prompts=2, read_layer=2),
            slice(2, 3),
        ),
    ],
)
def test_white_box(white_box, layers):
    torch.manual_seed(0)
    model = lore(drop_rate=0.0, **white_box)
    img = torch.randn(4, 3, 32, 32)
    written = model.explain(img).local  # (B, L', M, C)
    before = model.white_box.global_prompts.detach().clone()
    means = 5 * torch.randn(3, 64)
    start_prompts(model, means, gain=0.1)
    base = means[layers, None]  # (L', 1, C)
    torch.testing.assert_close(
        model.white_box.global_prompts.detach(), before + base
    )
    # The images' prompts still differ, a tenth as much.
    torch.testing.assert_close(
        model.explain(img).local, base + 0.1 * written, rtol=1e-4, atol=1e-4
    )


def test_global_prompts_in_earlier_blocks():
    model = lore(drop_rate=0.0, write_layer=2, global_layer=1)
    before = model.white_box.global_prompts.detach().clone()
    means = 5 * torch.randn(3, 64)
    start_prompts(model, means, gain=0.0)
    after = model.white_box.global_prompts.detach()
    torch.testing.assert_close(after, before + means[1:, None])
    local = model.explain(torch.randn(4, 3, 32, 32)).local
    torch.testing.assert_close(local, means[2:, None].expand_as(local))


@pytest.mark.parametrize(
    'white_box', [dict(num_global_prompts=0), dict(num_local_prompts=0)]
)
def test_one_kind_of_prompts(white_box):
    model = lore(**white_box)
    start_prompts(model, torch.ones(3, 64), gain=0.1)
    prompts = model.explain(torch.randn(2, 3, 32, 32)).prompts.detach()
    assert float(prompts.mean()) == pytest.approx(1, abs=0.1)


def run(bench, root, backbone, **kwargs):
    """The hook at ``before_train``; batches of 4 of 15 images."""
    model = nn.Module()
    model.backbone = backbone
    model.data_preprocessor = bench.Classifier().data_preprocessor
    runner = bench.runner(
        bench.folder(root), bench.folder(root, bench.VAL), model
    )
    for name in ('iter', '_has_loaded'):
        setattr(runner, name, kwargs.pop(name, getattr(runner, name)))
    hook = HOOKS.build(dict(type='lore_mm.PromptStartHook', **kwargs))
    hook.before_train(runner)
    return runner, hook


@pytest.fixture
def root(tiny_image_folder):
    return tiny_image_folder(num_classes=3, per_class=5, size=16)


def all_images(runner):
    loader = runner.val_dataloader
    batches = [runner.model.data_preprocessor(batch) for batch in loader]
    return torch.cat([batch['inputs'] for batch in batches])


def test_mean_over_the_training_images(bench, root):
    backbone = vpt(num_prompts=2)
    before = backbone.prompts.detach().clone()
    runner, _ = run(bench, root, backbone)
    img = all_images(runner)
    assert len(img) == 15
    means = tokens_before_blocks(backbone.black_box, img).mean(0)
    torch.testing.assert_close(
        backbone.prompts.detach(), before + means[:, None]
    )


def test_number_of_images(bench, root):
    backbone = vpt(num_prompts=1)
    runner, _ = run(bench, root, backbone)
    seen = []
    original = backbone.black_box.patchify

    def count(img):
        seen.append(len(img))
        return original(img)

    backbone.black_box.patchify = count
    first = PromptStartHook(num_images=6).measure(runner, backbone)
    assert sum(seen) == 6
    again = PromptStartHook(num_images=6).measure(runner, backbone)
    torch.testing.assert_close(first, again, rtol=0, atol=0)


@pytest.mark.parametrize('state', [dict(iter=3), dict(_has_loaded=True)])
def test_trained_prompts_are_kept(bench, root, state):
    backbone = lore()
    before = [p.detach().clone() for p in backbone.parameters()]
    run(bench, root, backbone, **state)
    for old, new in zip(before, backbone.parameters(), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize(
    'backbone',
    [
        lambda: lore(num_global_prompts=0, num_local_prompts=0),
        lambda: MODELS.build(dict(type='lore_mm.LOREViT', black_box=PLAIN)),
        lambda: nn.Identity(),
    ],
)
def test_models_without_prompts(backbone):
    model = SimpleNamespace(backbone=backbone())
    PromptStartHook().before_train(SimpleNamespace(model=model, iter=0))


@pytest.mark.parametrize(
    'kwargs,message',
    [
        (dict(gain=-0.1), 'gain must be 0 or more, got -0.1'),
        (dict(num_images=0), 'num_images must be at least 1, got 0'),
    ],
)
def test_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PromptStartHook(**kwargs)


def test_order_of_the_hooks(tiny_runner):
    kinds = ['HeadWarmStart', 'NormStatistics', 'PromptStart']
    runner = tiny_runner(
        custom_hooks=[dict(type=f'lore_mm.{kind}Hook') for kind in kinds]
    )
    names = [type(hook).__name__.removesuffix('Hook') for hook in runner.hooks]
    assert [name for name in names if name in kinds] == [
        'PromptStart',
        'NormStatistics',
        'HeadWarmStart',
    ]


def test_a_run_starts_from_it(tiny_runner):
    runner = tiny_runner(
        custom_hooks=[dict(type='lore_mm.PromptStartHook')],
        train_cfg__max_epochs=1,
        optim_wrapper__optimizer__lr=0.0,
        optim_wrapper__optimizer__weight_decay=0.0,
    )
    backbone = runner.model.backbone
    before = backbone.white_box.global_prompts.detach().clone()
    runner.train()
    means = PromptStartHook().measure(runner, backbone).float()
    torch.testing.assert_close(
        backbone.white_box.global_prompts.detach(), before + means[:, None]
    )
