"""The view of a standard pre-norm block against the block itself."""

import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from mmpretrain.models.backbones.vision_transformer import (
    TransformerEncoderLayer,
)
from open_clip.transformer import (
    CustomResidualAttentionBlock,
    ResidualAttentionBlock,
)
from timm.layers import AttentionRope
from timm.models.vision_transformer import Block, ResPostBlock
from torch import Tensor, nn

from lore_mm.models.black_boxes import PreNormBlock, standard_block

WIDTH, HEADS = 24, 3

STANDARD = {
    'timm': lambda **kw: Block(WIDTH, HEADS, qkv_bias=True, **kw),
    'timm without bias': lambda **kw: Block(WIDTH, HEADS, **kw),
    'timm with qk norm': lambda **kw: Block(
        WIDTH, HEADS, qk_norm=True, init_values=0.5, **kw
    ),
    'mmpretrain': lambda **kw: TransformerEncoderLayer(
        WIDTH, HEADS, 2 * WIDTH, **kw
    ),
    'mmpretrain with layer scale': lambda **kw: TransformerEncoderLayer(
        WIDTH,
        HEADS,
        2 * WIDTH,
        qkv_bias=False,
        layer_scale_init_value=0.5,
        **kw,
    ),
    'open_clip': lambda **kw: ResidualAttentionBlock(WIDTH, HEADS, **kw),
    'open_clip with layer scale': lambda **kw: ResidualAttentionBlock(
        WIDTH, HEADS, ls_init_value=0.5, **kw
    ),
}


def make(name: str, **kwargs) -> nn.Module:
    """A block in double precision, all weights random."""
    torch.manual_seed(0)
    block = STANDARD[name](**kwargs).double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.3)
    return block


def rebuild(view: PreNormBlock, x: Tensor) -> Tensor:
    """The forward pass of the block from its view."""
    qkv = F.linear(view.norm1(x), view.qkv_weight, view.qkv_bias)
    qkv = qkv.unflatten(-1, (3, view.num_heads, -1))
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    query, key = view.q_norm(query), view.k_norm(key)
    weights = (query @ key.transpose(-2, -1) * view.scale).softmax(-1)
    mixed = (weights @ value).transpose(1, 2).flatten(2)
    x = x + view.scale1(view.proj(mixed))
    return x + view.scale2(view.mlp(view.norm2(x)))


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('name', STANDARD)
def test_view_equals_block(name, training):
    block = make(name)
    block.train(training)
    x = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    view = standard_block(block)
    torch.testing.assert_close(rebuild(view, x), block(x), rtol=0, atol=1e-6)
    with torch.no_grad():  # open_clip's blocks take another path here
        out = block(x)
    torch.testing.assert_close(rebuild(view, x), out, rtol=0, atol=1e-6)


@pytest.mark.parametrize('name', STANDARD)
def test_view_follows_the_weights(name):
    block = make(name)
    view = standard_block(block)
    x = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    before = rebuild(view, x)
    other = copy.deepcopy(block)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    block.load_state_dict(other.state_dict())
    assert (rebuild(view, x) - before).abs().max() > 1e-3
    torch.testing.assert_close(rebuild(view, x), other(x))
    for parameter in block.parameters():  # as Module.to does it
        parameter.data = parameter.data * 0.5
    torch.testing.assert_close(rebuild(view, x), block(x))


def test_gradients_reach_every_weight():
    block = make('timm with qk norm')
    x = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    rebuild(standard_block(block), x).square().sum().backward()
    assert all(p.grad is not None for p in block.parameters())


def test_view_registers_nothing():
    block = make('timm')
    names = [name for name, _ in block.named_modules()]
    view = standard_block(block)
    assert not isinstance(view, nn.Module)
    assert [name for name, _ in block.named_modules()] == names


def test_blocks_of_every_black_box_are_standard(case):
    views = [standard_block(block) for block in case.black_box.blocks]
    assert len(views) == case.black_box.num_layers
    assert all(isinstance(view, PreNormBlock) for view in views)


@pytest.mark.parametrize(
    'block',
    [
        nn.Linear(WIDTH, WIDTH),
        nn.TransformerEncoderLayer(WIDTH, HEADS),
        ResPostBlock(WIDTH, HEADS),
        Block(WIDTH, HEADS, scale_attn_norm=True),
        Block(WIDTH, HEADS, attn_layer=AttentionRope),
        Block(WIDTH, HEADS, attn_layer='diff'),
        TransformerEncoderLayer(
            WIDTH, HEADS, 2 * WIDTH, ffn_type='swiglu_fused'
        ),
        CustomResidualAttentionBlock(WIDTH, HEADS),
        ResidualAttentionBlock(WIDTH, HEADS, is_cross_attention=True),
        ResidualAttentionBlock(WIDTH, HEADS, batch_first=False),
    ],
    ids=lambda block: type(block).__name__,
)
def test_other_blocks_are_not_standard(block):
    assert standard_block(block) is None


def test_gated_attention_is_not_standard():
    block = make('timm')
    block.attn.gate = nn.Linear(WIDTH, WIDTH)
    assert standard_block(block) is None


@pytest.mark.parametrize(
    ('name', 'kwargs'),
    [
        ('timm', {'drop_path': 0.1}),
        ('timm', {'attn_drop': 0.1}),
        ('timm', {'proj_drop': 0.1}),
        ('mmpretrain', {'drop_path_rate': 0.1}),
        ('mmpretrain', {'attn_drop_rate': 0.1}),
        ('mmpretrain', {'drop_rate': 0.1}),
    ],
)
def test_active_dropout_is_not_standard(name, kwargs):
    block = make(name, **kwargs)
    assert standard_block(block) is None
    block.eval()
    assert standard_block(block) is not None


def test_active_dropout_of_open_clip_is_not_standard():
    block = make('open_clip')
    block.attn.dropout = 0.1
    assert standard_block(block) is None
    block.eval()
    assert standard_block(block) is not None


def test_adapter_in_place_of_a_linear_map_is_not_standard():
    class Adapter(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    block = make('timm')
    block.attn.qkv = Adapter(WIDTH, 3 * WIDTH)
    assert standard_block(block) is None


def test_hooked_block_is_not_standard():
    for name in ('timm', 'mmpretrain', 'open_clip'):
        block = make(name)
        handle = block.attn.register_forward_hook(lambda *args: None)
        assert standard_block(block) is None
        handle.remove()
        assert standard_block(block) is not None


def test_wide_heads_are_not_standard():
    block = make('timm')
    block.attn = timm.layers.Attention(WIDTH, HEADS, attn_head_dim=16)
    assert standard_block(block) is None
