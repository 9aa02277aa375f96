"""One transformer block with prompts whose outputs are dropped.

Deep prompts are replaced before the next layer, so a layer's prompts are
only ever read: they need keys and values, but no query, no output projection
and no MLP. Both paths give the same tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..black_boxes.pre_norm_block import PreNormBlock


def plain_block(
    block: nn.Module, tokens: Tensor, prompts: Tensor, num_prefix: int
) -> Tensor:
    """Any block: prompts enter as tokens after the prefix and are cut out.

    Args:
        block (nn.Module): Maps (B, T, C) to (B, T, C).
        tokens (Tensor): [prefix | patches], (B, P + N, C).
        prompts (Tensor): (B, M, C).
        num_prefix (int): P.

    Returns:
        Tensor: (B, P + N, C).
    """
    number = prompts.shape[1]
    prefix, patches = tokens[:, :num_prefix], tokens[:, num_prefix:]
    out = block(torch.cat([prefix, prompts.to(tokens.dtype), patches], 1))
    return torch.cat(
        [out[:, :num_prefix], out[:, num_prefix + number :]], dim=1
    )


def prompt_kv(view: PreNormBlock, prompts: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (b, heads, M, C / heads) of prompts (b, M, C)."""
    dims = prompts.shape[-1]
    bias = view.qkv_bias
    kv = F.linear(
        view.norm1(prompts),
        view.qkv_weight[dims:],
        None if bias is None else bias[dims:],
    )
    key, value = _split_heads(kv, 2, view.num_heads)
    return view.k_norm(key), value


def fast_block(
    view: PreNormBlock,
    tokens: Tensor,
    prompt_kvs: list[tuple[Tensor, Tensor]],
    num_queries: int | None = None,
) -> Tensor:
    """A standard pre-norm block with prompts as keys and values only.

    Args:
        view (PreNormBlock): The block's weights.
        tokens (Tensor): [prefix | patches], (B, T, C).
        prompt_kvs (list): Keys and values of prompts, of batch size B or 1.
        num_queries (int, optional): Compute only the first so many tokens,
            for a last block of which only the CLS token is read.

    Returns:
        Tensor: (B, num_queries or T, C).
    """
    batch, number, dims = tokens.shape
    normed = view.norm1(tokens)
    if num_queries is None:
        qkv = F.linear(normed, view.qkv_weight, view.qkv_bias)
        query, key, value = _split_heads(qkv, 3, view.num_heads)
    else:
        weight, bias = view.qkv_weight, view.qkv_bias
        q_bias, kv_bias = (
            (None, None) if bias is None else (bias[:dims], bias[dims:])
        )
        query = F.linear(normed[:, :num_queries], weight[:dims], q_bias)
        (query,) = _split_heads(query, 1, view.num_heads)
        kv = F.linear(normed, weight[dims:], kv_bias)
        key, value = _split_heads(kv, 2, view.num_heads)
        tokens = tokens[:, :num_queries]
    query, key = view.q_norm(query), view.k_norm(key)
    if prompt_kvs:
        key = _join([key] + [k for k, _ in prompt_kvs])
        value = _join([value] + [v for _, v in prompt_kvs])
    mixed = F.scaled_dot_product_attention(
        query, key, value, scale=view.scale
    )  # (B, heads, T, C / heads)
    mixed = mixed.transpose(1, 2).reshape(batch, -1, dims)
    tokens = tokens + view.scale1(view.proj(mixed))
    return tokens + view.scale2(view.mlp(view.norm2(tokens)))


def _split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(B, T, parts * C) to ``parts`` tensors (B, heads, T, C / heads)."""
    x = x.unflatten(-1, (parts, heads, -1))  # (B, T, parts, heads, c)
    return x.permute(2, 0, 3, 1, 4).unbind(0)


def _join(pieces: list[Tensor]) -> Tensor:
    """Concatenate along tokens; constants of batch 1 are broadcast."""
    # A length by len() would be a constant of an exported graph.
    batch, dtype = pieces[0].shape[0], pieces[0].dtype
    pieces = [p.to(dtype).expand(batch, -1, -1, -1) for p in pieces]
    return torch.cat(pieces, dim=2)
