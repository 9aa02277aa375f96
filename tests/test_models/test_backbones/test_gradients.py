"""Who learns: every part of the White Box, and nothing of the Black Box."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample

from lore_mm.models.white_box.norm import LinearNorm, TokenBatchNorm
from lore_mm.registry import MODELS

CLASSES, BATCH = 3, 4
KP = dict(type='lore_mm.PrototypeConstraintLoss')


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('LORE_CACHE', str(tmp_path))


@pytest.fixture
def batch():
    samples = [
        DataSample(metainfo=dict(negative_label=1)).set_gt_label(i % CLASSES)
        for i in range(BATCH)
    ]
    return torch.randn(BATCH, 3, 64, 64, dtype=torch.double), samples


@pytest.fixture
def make_classifier():
    """The stock classifier with LORE's three pieces, double precision."""

    def make(constraint=KP, with_neck=True, preset='released', **white_box):
        backbone = dict(
            type='lore_mm.LOREViT',
            black_box=dict(
                type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=64
            ),
            white_box=dict(
                type='lore_mm.WhiteBox',
                preset=preset,
                **{'drop_rate': 0.0, **white_box},
            ),
            out_type='lore',
        )
        neck = dict(
            type='lore_mm.KnowledgeLocalityNeck',
            num_classes=CLASSES,
            embed_dims=64,
            text_dims=8,
            knowledge=dict(type='lore_mm.RandomTextEncoder', embed_dims=8),
            preset='paper' if preset == 'paper' else 'released',
        )
        head = dict(
            type='lore_mm.LOREHead',
            num_classes=CLASSES,
            in_channels=64,
            constraint=constraint,
        )
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = MODELS.build(
                dict(
                    type='ImageClassifier',
                    backbone=backbone,
                    neck=neck if with_neck else None,
                    head=head,
                )
            )
        model.init_weights()
        if model.with_neck:
            model.neck.set_classes(['ant', 'bee', 'cat'])
        model.double().head.float()  # the head computes in float32
        return model.train()

    return make


def backward(model, batch):
    losses = model.loss(*batch)
    total = sum(value for key, value in losses.items() if 'loss' in key)
    total.backward()


def cancelled(model):
    """Biases that a later batch norm takes away while it trains."""
    names = {
        f'{name}.bias'
        for name, layer in model.named_modules()
        if isinstance(layer, LinearNorm)
        and isinstance(layer.norm, TokenBatchNorm)
    }
    white_box = 'backbone.white_box'
    if names:  # shifts all nodes alike: the graph's norm removes it
        names.add(f'{white_box}.lin.conv_in.norm.bias')
    if names and not model.with_neck:
        # without KLA and L_kp a shift of Ê or Y meets a norm of Ψ1 or Ψ2
        names.add(f'{white_box}.lin.conv_out.norm.bias')
        names.add(f'{white_box}.lin.ffn_out.norm.bias')
        names.add(f'{white_box}.prompt_generator.psi1.up.bias')
    return names | {'neck.attention.mlp.2.bias'}  # of Eq. (7), `paper`


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(),
        dict(preset='paper'),
        dict(preset='paper', num_global_prompts=2),
        dict(preset='extended', lin_gain_init=1.0),
        dict(read_layer=2),
        dict(read_layer=1, write_layer=5),
        dict(pool='max'),
        dict(pool='outlier'),
        dict(num_global_prompts=0),
        dict(num_local_prompts=0),
        dict(constraint=None, with_neck=False),
    ],
    ids=str,
)
def test_every_trained_weight_learns(make_classifier, batch, kwargs):
    model = make_classifier(**kwargs)
    backward(model, batch)
    without = cancelled(model)
    for name, parameter in model.named_parameters():
        if name.startswith('backbone.black_box.'):
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        size = float(parameter.grad.abs().max())
        if name in without:
            assert size < 1e-10, name
        else:
            assert size > 1e-10, name


# Which parts get no gradient, and why.
IDLE = {
    'no local prompts and no L_kp: nothing reads the latent': (
        dict(num_local_prompts=0, constraint=None, with_neck=False),
        {'backbone.white_box.lin', 'backbone.white_box.prompt_generator'},
    ),
    'no L_kp: nothing reads the prototypes': (
        dict(constraint=None),
        {'neck.attention'},
    ),
}


@pytest.mark.parametrize('kwargs, idle', IDLE.values(), ids=IDLE)
def test_parts_without_a_use(make_classifier, batch, kwargs, idle):
    model = make_classifier(**kwargs)
    backward(model, batch)
    unused = {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    }
    expected = {
        name
        for name, parameter in model.named_parameters()
        if name.startswith(tuple(f'{part}.' for part in idle))
    }
    assert unused == expected


def test_constraint_trains_lin_and_latent_but_no_prompts(
    make_classifier, batch
):
    """L_kp alone: Eq. (10) reads Y and the prototypes, not U."""
    model = make_classifier()
    model.loss(*batch)['loss_kp'].backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            read = any(part in name for part in ('lin.', 'psi1.', 'neck.'))
            assert (parameter.grad is not None) == read, name


@pytest.mark.parametrize('read_layer', [0, 3])
def test_nothing_is_kept_for_blocks_before_the_prompts(
    make_classifier, batch, read_layer
):
    """Their outputs need no gradient, so they hold no memory."""
    model = make_classifier(read_layer=read_layer)
    needed = []
    for block in model.backbone.black_box.blocks[:read_layer]:
        block.register_forward_hook(
            lambda _, args, out: needed.append(out.requires_grad)
        )
    backward(model, batch)
    assert needed == [False] * read_layer
    assert model.backbone.white_box.lin.conv_in.weight.grad.any()
