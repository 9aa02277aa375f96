"""K-L prototype-guided constraint."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lore_mm.registry import MODELS


@MODELS.register_module()
class PrototypeConstraintLoss(nn.Module):
    """Pull the latent to its class's prototype; LORE, Eqs. (10)-(11).

    ``L_kp = -w+ mean_b cos(Y, Â_t) + w- sum_{b: t != p} cos(Y, Â_p) / B``:
    the second term pushes the latent of a wrongly predicted image from the
    prototype of the class it was taken for. Both weights equal is the
    paper's lambda.

    Args:
        positive_weight (float): w+. Defaults to 0.1.
        negative_weight (float): w-. Defaults to 0.1.
    """

    def __init__(
        self, positive_weight: float = 0.1, negative_weight: float = 0.1
    ) -> None:
        super().__init__()
        self.positive_weight = positive_weight
        self.negative_weight = negative_weight

    def forward(
        self,
        latent: Tensor,
        prototypes: Tensor,
        target: Tensor,
        predicted: Tensor,
    ) -> Tensor:
        """The weighted sum of both terms.

        Args:
            latent (Tensor): Y (B, C).
            prototypes (Tensor): Â (B, K, C).
            target (Tensor): True labels t (B,), integers in [0, K), or the
                shares (B, K) of the classes in images mixed of several
                (Mixup, CutMix; beyond the paper). The positive term is then
                the mean of the cosines by these shares, and a prediction is
                wrong that has none.
            predicted (Tensor): Predicted labels p (B,), likewise.

        Returns:
            Tensor: A scalar.
        """
        positive, negative = self.terms(latent, prototypes, target, predicted)
        return (
            self.negative_weight * negative - self.positive_weight * positive
        )

    @staticmethod
    def terms(
        latent: Tensor,
        prototypes: Tensor,
        target: Tensor,
        predicted: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Positive and negative term, two scalars, without weights."""
        latent, prototypes = latent.float(), prototypes.float()
        rows = torch.arange(len(latent), device=latent.device)
        if target.ndim == 1:
            positive = F.cosine_similarity(latent, prototypes[rows, target])
            wrong = target != predicted
        else:
            cosines = F.cosine_similarity(latent[:, None], prototypes, dim=-1)
            positive = (target * cosines).sum(-1)
            wrong = target[rows, predicted] == 0
        negative = F.cosine_similarity(latent, prototypes[rows, predicted])
        return positive.mean(), (negative * wrong).sum() / len(latent)
