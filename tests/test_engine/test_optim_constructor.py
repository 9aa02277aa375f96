"""Groups of the optimizer."""

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

import lore_mm  # noqa: F401  (registers everything)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.backbone.lin = nn.Linear(2, 2)
        self.backbone.norm = nn.LayerNorm(2)
        self.backbone.prompts = nn.Parameter(torch.zeros(3, 2))
        self.backbone.head = nn.Linear(2, 2)
        self.head = nn.Module()
        self.head.fc = nn.Linear(2, 3)


def build(model, optimizer=None, **paramwise):
    return build_optim_wrapper(
        model,
        dict(
            constructor='lore_mm.TrainedOptimWrapperConstructor',
            optimizer=optimizer
            or dict(type='AdamW', lr=0.1, weight_decay=0.01),
            paramwise_cfg=paramwise,
        ),
    ).optimizer


def rates(model, optimizer):
    """Name of each parameter in the optimizer to its two rates."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(param)]: (
            round(group['lr'], 6),
            round(group['weight_decay'], 6),
        )
        for group in optimizer.param_groups
        for param in group['params']
    }


def test_rates_of_each_parameter():
    model = Model()
    optimizer = build(
        model,
        flat_decay_mult=0.0,
        custom_keys=dict(
            prompts=dict(decay_mult=0.0),
            backbone=dict(lr_mult=1.0),
            head=dict(lr_mult=10.0),
        ),
    )
    # `prompts` is shorter than `backbone` and does not count.
    assert rates(model, optimizer) == {
        'backbone.prompts': (0.1, 0.01),
        'backbone.lin.weight': (0.1, 0.01),
        'backbone.lin.bias': (0.1, 0.0),
        'backbone.norm.weight': (0.1, 0.0),
        'backbone.norm.bias': (0.1, 0.0),
        'backbone.head.weight': (0.1, 0.01),
        'backbone.head.bias': (0.1, 0.0),
        'head.fc.weight': (1.0, 0.01),
        'head.fc.bias': (1.0, 0.0),
    }
    assert len(optimizer.param_groups) == 4


def test_own_decay_of_a_key_counts():
    model = Model()
    optimizer = build(
        model,
        flat_decay_mult=0.0,
        custom_keys={
            'prompts': dict(decay_mult=0.0),
            'lin.bias': dict(decay_mult=2.0),
        },
    )
    found = rates(model, optimizer)
    assert found['backbone.prompts'] == (0.1, 0.0)
    assert found['backbone.lin.bias'] == (0.1, 0.02)


def test_one_line_for_a_group_and_none_for_frozen_weights(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    build(Model(), flat_decay_mult=0.0)
    logger.removeHandler(caplog.handler)
    lines = [record.getMessage() for record in caplog.records]
    assert not any('frozen' in line for line in lines)
    assert [line for line in lines if line.startswith('optimizer: ')] == [
        'optimizer: 4 tensors, 20 weights, lr 0.1, weight decay 0.01',
        'optimizer: 5 tensors, 11 weights, lr 0.1, weight decay 0.0',
    ]


@pytest.mark.parametrize(
    'paramwise,message',
    [
        (
            dict(norm_decay=0),
            "paramwise_cfg has the unknown key 'norm_decay'; it takes "
            'custom_keys and flat_decay_mult',
        ),
        (
            dict(custom_keys=dict(head=dict(lr=1))),
            "'head'. has the unknown key 'lr'; it takes decay_mult and lr",
        ),
    ],
)
def test_unknown_option(paramwise, message):
    with pytest.raises(ValueError, match=message):
        build(Model(), **paramwise)


@pytest.mark.parametrize(
    'paramwise',
    [
        dict(flat_decay_mult=0.0),
        dict(custom_keys=dict(head=dict(decay_mult=0.0))),
    ],
)
def test_nothing_to_multiply(paramwise):
    with pytest.raises(ValueError, match='decay_mult .* needs a rate'):
        build(Model(), dict(type='SGD', lr=0.1), **paramwise)


def test_unknown_optimizer():
    with pytest.raises(ValueError, match="no optimizer 'Adamm'; .*Adam"):
        build(Model(), optimizer=dict(type='Adamm', lr=0.1))


def test_optimizer_of_the_scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        optimizer = build(Model(), optimizer=dict(type='Lamb', lr=0.1))
    assert type(optimizer).__name__ == 'Lamb'
