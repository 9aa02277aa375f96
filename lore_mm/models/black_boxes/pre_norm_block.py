"""A standard pre-norm transformer block, whatever library it came from.

:func:`standard_block` recognises the blocks of timm, mmpretrain and open_clip
that compute, for tokens ``x`` (B, T, C)::

    q, k, v = split_heads(linear(norm1(x), qkv_weight, qkv_bias))
    x = x + scale1(proj(join_heads(attend(q_norm(q), k_norm(k), v))))
    x = x + scale2(mlp(norm2(x)))

and shows them through one view, so that a faster path over keys and values
need not know the library.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from mmcv.cnn.bricks.transformer import FFN
from mmpretrain.models.backbones.vision_transformer import (
    TransformerEncoderLayer,
)
from mmpretrain.models.utils import MultiheadAttention
from open_clip.transformer import ResidualAttentionBlock
from timm.layers import Attention
from timm.models.vision_transformer import Block
from torch import Tensor, nn

TensorMap = Callable[[Tensor], Tensor]

# Where each library keeps the parts of a block.
_TIMM = {
    'norm1': 'norm1',
    'qkv_weight': 'attn.qkv.weight',
    'qkv_bias': 'attn.qkv.bias',
    'q_norm': 'attn.q_norm',
    'k_norm': 'attn.k_norm',
    'head_dims': 'attn.head_dim',
    'proj': 'attn.proj',
    'scale1': 'ls1',
    'norm2': 'norm2',
    'mlp': 'mlp',
    'scale2': 'ls2',
}
_MMPRETRAIN = {
    'norm1': 'ln1',
    'qkv_weight': 'attn.qkv.weight',
    'qkv_bias': 'attn.qkv.bias',
    'head_dims': 'attn.head_dims',
    'proj': 'attn.proj',
    'scale1': 'attn.gamma1',
    'norm2': 'ln2',
    'mlp': 'ffn.layers',
    'scale2': 'ffn.gamma2',
}
_OPEN_CLIP = {
    'norm1': 'ln_1',
    'qkv_weight': 'attn.in_proj_weight',
    'qkv_bias': 'attn.in_proj_bias',
    'head_dims': 'attn.head_dim',
    'proj': 'attn.out_proj',
    'scale1': 'ls_1',
    'norm2': 'ln_2',
    'mlp': 'mlp',
    'scale2': 'ls_2',
}


@dataclass(frozen=True)
class PreNormBlock:
    """View of a standard pre-norm block; it owns and registers nothing.

    Every property is looked up in the block when it is read, so that steps of
    an optimiser and loaded weights are seen.

    Args:
        block (nn.Module): The library's block.
        paths (Mapping[str, str]): Where the block keeps each part.
    """

    block: nn.Module
    paths: Mapping[str, str]

    def _get(self, part: str) -> Any:
        return attrgetter(self.paths[part])(self.block)

    @property
    def norm1(self) -> TensorMap:
        """Norm before the attention, on (B, T, C)."""
        return self._get('norm1')

    @property
    def qkv_weight(self) -> Tensor:
        """Query, key and value map (3 C, C), heads inside each third."""
        return self._get('qkv_weight')

    @property
    def qkv_bias(self) -> Tensor | None:
        """Bias (3 C,) of the query, key and value map."""
        return self._get('qkv_bias')

    @property
    def q_norm(self) -> TensorMap:
        """Norm of the queries (B, heads, T, C / heads), or the identity."""
        return self._get('q_norm') if 'q_norm' in self.paths else _identity

    @property
    def k_norm(self) -> TensorMap:
        """Norm of the keys (B, heads, T, C / heads), or the identity."""
        return self._get('k_norm') if 'k_norm' in self.paths else _identity

    @property
    def num_heads(self) -> int:
        """Number of attention heads."""
        return self.block.attn.num_heads

    @property
    def scale(self) -> float:
        """Factor of ``q k^T`` before the softmax."""
        return self._get('head_dims') ** -0.5

    @property
    def proj(self) -> TensorMap:
        """Output map of the attention, on (B, T, C)."""
        return self._get('proj')

    @property
    def scale1(self) -> TensorMap:
        """Layer scale of the attention branch, or the identity."""
        return self._get('scale1')

    @property
    def norm2(self) -> TensorMap:
        """Norm before the MLP, on (B, T, C)."""
        return self._get('norm2')

    @property
    def mlp(self) -> TensorMap:
        """The MLP without its shortcut, on (B, T, C)."""
        return self._get('mlp')

    @property
    def scale2(self) -> TensorMap:
        """Layer scale of the MLP branch, or the identity."""
        return self._get('scale2')


def standard_block(block: nn.Module) -> PreNormBlock | None:
    """View ``block`` as a standard pre-norm block, if it is one.

    Exact classes are asked for: a subclass, or a linear map replaced by an
    adapter, may compute something else. The answer holds as long as the block
    is neither rebuilt nor switched between training and evaluation.

    Args:
        block (nn.Module): A transformer block of any library.

    Returns:
        PreNormBlock | None: None for another kind of block, gated attention,
        dropout or drop path that is active, or a forward hook that the view
        would pass by.
    """
    kind = type(block)
    if kind is Block and _is_standard_timm(block):
        return PreNormBlock(block, _TIMM)
    if kind is TransformerEncoderLayer and _is_standard_mmpretrain(block):
        return PreNormBlock(block, _MMPRETRAIN)
    if kind is ResidualAttentionBlock and _is_standard_open_clip(block):
        return PreNormBlock(block, _OPEN_CLIP)
    return None


def _is_standard_timm(block: Block) -> bool:
    attn = block.attn
    return (
        type(attn) is Attention
        # two later options of timm's attention
        and getattr(attn, 'gate', None) is None
        and isinstance(getattr(attn, 'norm', None), nn.Identity | None)
        and _is_qkv(attn.qkv)
        and not _drops(
            block.drop_path1, block.drop_path2, attn.attn_drop, attn.proj_drop
        )
        and not _hooked(block, attn, attn.qkv)
    )


def _is_standard_mmpretrain(block: TransformerEncoderLayer) -> bool:
    attn, ffn = block.attn, block.ffn
    return (
        type(attn) is MultiheadAttention
        and not attn.v_shortcut
        and _is_qkv(attn.qkv)
        and type(ffn) is FFN
        and ffn.add_identity
        and not (attn.training and attn.attn_drop > 0)
        and not _drops(attn.proj_drop, attn.out_drop, ffn.dropout_layer)
        and not _hooked(block, attn, attn.qkv, ffn)
    )


def _is_standard_open_clip(block: ResidualAttentionBlock) -> bool:
    attn = block.attn
    return (
        not hasattr(block, 'ln_1_kv')  # cross-attention
        and type(attn) is nn.MultiheadAttention
        and attn.batch_first
        and attn.in_proj_weight is not None
        and attn.bias_k is None
        and not attn.add_zero_attn
        and not (attn.training and attn.dropout > 0)
        and not _hooked(block, attn)
    )


def _is_qkv(layer: nn.Module) -> bool:
    """A plain linear map C -> 3 C: neither an adapter nor wider heads."""
    return type(layer) is nn.Linear and (
        layer.out_features == 3 * layer.in_features
    )


def _drops(*modules: nn.Module) -> bool:
    """Whether a dropout or drop path is active."""
    return any(
        module.training
        and (getattr(module, 'p', 0) or getattr(module, 'drop_prob', 0) or 0)
        > 0
        for module in modules
    )


def _hooked(*modules: nn.Module) -> bool:
    """Whether a forward hook waits for a call that would not come."""
    return any(m._forward_hooks or m._forward_pre_hooks for m in modules)


def _identity(x: Tensor) -> Tensor:
    return x
