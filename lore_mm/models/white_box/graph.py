"""Dynamic kNN graph over patches, and the max-relative aggregation."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def knn_indices(
    features: Tensor, k: int, normalize: bool = True
) -> tuple[Tensor, Tensor]:
    """The K nearest patches of every patch in feature space.

    LORE, section "Locality Interaction Network": patch j points to i when j
    is among the K nearest neighbours of i. A patch is its own first
    neighbour, as in Vision GNN.

    Args:
        features (Tensor): (B, N, C).
        k (int): Neighbours per patch, the patch itself included; capped at N.
        normalize (bool): L2-normalise over channels first. Defaults to True.

    Returns:
        tuple[Tensor, Tensor]: Indices (B, N, K), nearest first, and squared
        distances (B, N, K).
    """
    features = features.detach().float()  # an index carries no gradient
    if normalize:
        features = F.normalize(features, dim=-1)
    # Autocast would round near neighbours to the same distance.
    with torch.autocast(features.device.type, enabled=False):
        inner = features @ features.transpose(1, 2)  # (B, N, N)
    square = (features**2).sum(-1)
    # ||i - j||^2 without its row constant ||i||^2: the order is the same
    score = 2 * inner - square[:, None, :]  # (B, N, N)
    top = score.topk(min(k, features.shape[1]), dim=-1)
    distance = (square[:, :, None] - top.values).clamp_min(0)
    return top.indices, distance


def neighbour_max(features: Tensor, indices: Tensor) -> Tensor:
    """Element-wise maximum over neighbours: max_j features_j.

    Args:
        features (Tensor): (B, N, C).
        indices (Tensor): (B, N, K) into N.

    Returns:
        Tensor: (B, N, C).
    """
    batch, number, dims = features.shape
    offset = torch.arange(batch, device=features.device) * number
    flat = (indices + offset[:, None, None]).flatten(0, 1)  # (B * N, K)
    rows = features.reshape(-1, dims)
    if torch.is_grad_enabled() and rows.requires_grad:
        out = _RowMax.apply(rows, flat)
    else:
        out = _row_max(rows, flat)
    return out.view(batch, number, dims)


def _row_max(rows: Tensor, index: Tensor) -> Tensor:
    """max_k rows[index[:, k]]; never (R, K, C) at once."""
    out = rows[index[:, 0]]
    for column in index.unbind(1)[1:]:
        out = torch.maximum(out, rows[column])
    return out


class _RowMax(torch.autograd.Function):
    """:func:`_row_max` whose gradient goes to the first largest row.

    One scatter of the winners; differentiating the chain of maxima would
    pass over (R, C) several times for each neighbour.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor) -> Tensor:
        out = rows[index[:, 0]]
        winner = index[:, :1].expand_as(out).contiguous()
        for column in index.unbind(1)[1:]:
            other = rows[column]
            larger = other > out
            out = torch.where(larger, other, out)
            winner = torch.where(larger, column[:, None], winner)
        ctx.save_for_backward(winner)
        ctx.shape = rows.shape
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (winner,) = ctx.saved_tensors
        return grad.new_zeros(ctx.shape).scatter_add_(0, winner, grad), None
