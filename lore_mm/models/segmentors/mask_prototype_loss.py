"""The K-L prototype constraint for images that hold several classes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lore_mm.registry import MODELS


@MODELS.register_module()
class MaskPrototypeLoss(nn.Module):
    """Pull the latent to the prototypes of the classes in the mask.

    LORE, Eq. (10) has one true and one predicted class per image. With masks
    both are sets: T, the classes in the true mask, and P, those that take at
    least ``min_share`` of the predicted one. The terms are means over the
    sets, so that an image with one class and one prediction has exactly the
    loss of the paper:

    ``-w+ mean_b mean_{t in T} cos(Y, Â_t)
    + w- sum_b mean_{p in P without T} cos(Y, Â_p) / B``

    Args:
        positive_weight (float): w+. Defaults to 0.1.
        negative_weight (float): w-. Defaults to 0.1.
        min_share (float): Share of the image that makes a predicted class
            count, in [0, 1]. Defaults to 0.01.

    Raises:
        ValueError: ``min_share`` is out of range.
    """

    def __init__(
        self,
        positive_weight: float = 0.1,
        negative_weight: float = 0.1,
        min_share: float = 0.01,
    ) -> None:
        super().__init__()
        if not 0 <= min_share <= 1:
            raise ValueError(f'min_share must be in [0, 1], got {min_share}.')
        self.positive_weight = positive_weight
        self.negative_weight = negative_weight
        self.min_share = min_share

    def forward(
        self,
        latent: Tensor,
        prototypes: Tensor,
        target: Tensor,
        predicted: Tensor,
        ignore_index: int = 255,
    ) -> Tensor:
        """The weighted sum of both terms.

        Args:
            latent (Tensor): Y (B, C).
            prototypes (Tensor): Â (B, K, C).
            target (Tensor): True labels (B, H, W), integers.
            predicted (Tensor): Predicted labels (B, h, w), integers.
            ignore_index (int): A label that is left out. Defaults to 255.

        Returns:
            Tensor: A scalar.
        """
        num_classes = prototypes.shape[1]
        cosine = F.cosine_similarity(
            latent.float()[:, None], prototypes.float(), dim=-1
        )  # (B, K)
        true = class_shares(target, num_classes, ignore_index) > 0
        shares = class_shares(predicted, num_classes, ignore_index)
        wrong = (shares > 0) & (shares >= self.min_share) & ~true
        positive, negative = _mean(cosine, true), _mean(cosine, wrong)
        return (
            self.negative_weight * negative - self.positive_weight * positive
        )


def class_shares(
    labels: Tensor, num_classes: int, ignore_index: int = 255
) -> Tensor:
    """Share of each class in label maps.

    Args:
        labels (Tensor): (B, H, W), integers.
        num_classes (int): K.
        ignore_index (int): A label that is left out. Defaults to 255.

    Returns:
        Tensor: (B, K), float32; rows sum to 1, or to 0 where all is left out.
    """
    flat = labels.flatten(1).long()
    kept = flat != ignore_index
    counts = torch.zeros(
        len(flat), num_classes, dtype=torch.float32, device=flat.device
    )
    counts.scatter_add_(1, flat.where(kept, 0), kept.float())
    return counts / counts.sum(1, keepdim=True).clamp(min=1)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen of each row, 0 without any; mean over rows."""
    chosen = chosen.to(values.dtype)
    sums = (values * chosen).sum(1) / chosen.sum(1).clamp(min=1)
    return sums.mean()
