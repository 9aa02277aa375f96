"""Attention weights of a ViT's blocks, recomputed from their projections.

Nothing is hooked or changed: the tokens before each block are computed as in
the plain forward pass, and a block's weights from its own query and key maps.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..black_boxes.pre_norm_block import PreNormBlock, standard_block
from .base import PromptedBackbone, Prompts


def block_inputs(
    backbone: PromptedBackbone, img: Tensor, prompts: Prompts | None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """What enters each block, in turn.

    Args:
        backbone (PromptedBackbone): The ViT.
        img (Tensor): Normalised images (B, 3, H, W).
        prompts (Prompts | None): Of ``backbone.prompts_for(img)``; None is
            the bare Black Box.

    Yields:
        tuple: Tokens [prefix | patches] (B, P + N, C), and the prompts
        (B, M, C) beside them, or None.
    """
    box = backbone.black_box
    prefix = box.num_prefix_tokens
    tokens = box.pre_norm(box.embed(*box.patchify(img)))
    own = None
    for index, block in enumerate(box.blocks):
        if prompts is not None and (prompts.deep or index == prompts.start):
            own = prompts.at(index, len(tokens))
            if own is not None:
                own = backbone.enter(prompts, index, own).to(tokens.dtype)
        yield tokens, own
        if own is None:
            tokens = block(tokens)
            continue
        out = block(
            torch.cat([tokens[:, :prefix], own, tokens[:, prefix:]], dim=1)
        )
        end = prefix + own.shape[1]
        tokens = torch.cat([out[:, :prefix], out[:, end:]], dim=1)
        own = None if prompts.deep else out[:, prefix:end]


def attention_weights(
    view: PreNormBlock, tokens: Tensor, prompts: Tensor | None = None
) -> Tensor:
    """Softmax weights of a block.

    Args:
        view (PreNormBlock): The block.
        tokens (Tensor): [prefix | patches] (B, T, C), the queries.
        prompts (Tensor, optional): (B, M, C), further keys.

    Returns:
        Tensor: (B, heads, T, T + M): the last M columns are the prompts'.
    """
    number, dims = tokens.shape[1:]
    if prompts is not None:
        tokens = torch.cat([tokens, prompts], dim=1)
    bias = view.qkv_bias
    both = F.linear(
        view.norm1(tokens),
        view.qkv_weight[: 2 * dims],
        None if bias is None else bias[: 2 * dims],
    ).unflatten(-1, (2, view.num_heads, -1))  # (B, T + M, 2, heads, c)
    query, key = both.permute(2, 0, 3, 1, 4)
    query, key = view.q_norm(query[:, :, :number]), view.k_norm(key)
    return (query @ key.transpose(-2, -1) * view.scale).softmax(-1)


@torch.no_grad()
def attention_of_blocks(
    backbone: PromptedBackbone, img: Tensor, bare: bool = False
) -> list[Tensor]:
    """Attention weights of all blocks; the model should be in eval mode.

    Args:
        backbone (PromptedBackbone): A :class:`LOREViT` or
            :class:`PromptedViT`.
        img (Tensor): Normalised images (B, 3, H, W).
        bare (bool): Leave the prompts out. Defaults to False.

    Returns:
        list[Tensor]: For each block (B, heads, T, T + M) with T = P + N
        tokens [prefix | patches]; the last M columns are its prompts'.

    Raises:
        ValueError: A block is no standard pre-norm block.
    """
    prompts = None if bare else backbone.prompts_for(img)
    found = []
    inputs = block_inputs(backbone, img, prompts)
    for block, (tokens, own) in zip(
        backbone.black_box.blocks, inputs, strict=True
    ):
        view = standard_block(block)
        if view is None:
            raise ValueError(
                'attention can be recomputed for standard pre-norm blocks '
                f'without adapters or hooks, got {type(block).__name__}; '
                'take a plain ViT of timm, open_clip or mmpretrain.'
            )
        found.append(attention_weights(view, tokens, own))
    return found


def rollout(weights: Sequence[Tensor]) -> Tensor:
    """Attention rollout (Abnar and Zuidema, ACL 2020).

    Half of each block's weights, mean over heads, and half of the identity
    for the shortcut, multiplied up to the last block given. Prompts are
    other ones in each block, so their columns are dropped and the rest is
    scaled to sum 1.

    Args:
        weights (Sequence[Tensor]): Of :func:`attention_of_blocks`.

    Returns:
        Tensor: (B, T, T), rows sum to 1.
    """
    number = weights[0].shape[2]
    eye = torch.eye(number, dtype=weights[0].dtype, device=weights[0].device)
    joint = eye
    for each in weights:
        mean = each[..., :number].mean(1)  # (B, T, T)
        mean = mean / mean.sum(-1, keepdim=True)
        joint = (mean + eye) / 2 @ joint
    return joint
