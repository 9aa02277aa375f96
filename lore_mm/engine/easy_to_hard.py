"""Easy-to-hard training: which images are easy, and which are hard.

LORE, section 4: stage one trains on the easiest images of each class, stage
two on those that are hardest for the model of stage one.
"""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.functional import normalize

from lore_mm.datasets.sampling import by_class
from lore_mm.datasets.seeded_subset import SeededSubset

from .bare_model import bare_model
from .feature_extraction import extract_train_features

HOWS = ('easiest', 'hardest')


def herding(features: Tensor, count: int) -> list[int]:
    """Samples whose running mean stays closest to the mean of all.

    Greedy: each step takes the sample after which the mean of those taken is
    nearest (herding, Welling, ICML 2009). Features are L2-normalised.

    Args:
        features (Tensor): (n, D) of one class.
        count (int): Samples to take; all in order of their taking if there
            are fewer.

    Returns:
        list[int]: Positions, in the order in which they were taken.
    """
    features = normalize(features.double(), dim=-1)
    mean = features.mean(0)
    total = torch.zeros_like(mean)
    free = torch.ones(len(features), dtype=torch.bool)
    taken: list[int] = []
    for step in range(1, min(count, len(features)) + 1):
        gap = (mean - (total + features) / step).norm(dim=-1)
        best = int(gap.masked_fill(~free, torch.inf).argmin())
        taken.append(best)
        free[best] = False
        total += features[best]
    return taken


def difficulty(features: Tensor) -> Tensor:
    """Cosine distance of each sample to the centroid of its class.

    Args:
        features (Tensor): (n, D) of one class.

    Returns:
        Tensor: float64 (n,), 0 is easiest.
    """
    features = normalize(features.double(), dim=-1)
    centroid = normalize(features.mean(0), dim=-1)
    return 1 - features @ centroid


def choose(
    features: Tensor, labels: Tensor, num_classes: int, count: int, how: str
) -> list[int]:
    """The easiest or the hardest samples of each class.

    Args:
        features (Tensor): (n, D).
        labels (Tensor): int64 (n,).
        num_classes (int): K.
        count (int): Samples of each class; all where there are fewer.
        how (str): ``'easiest'`` by :func:`herding`, or ``'hardest'`` by
            :func:`difficulty`.

    Returns:
        list[int]: Sorted positions.

    Raises:
        ValueError: ``how`` is unknown or ``count`` below 1.
    """
    if how not in HOWS:
        raise ValueError(f'how must be one of {HOWS}, got {how!r}.')
    if count < 1:
        raise ValueError(f'count must be at least 1, got {count}.')
    chosen: list[int] = []
    for members in by_class(labels.tolist(), num_classes):
        own = features[members]
        if how == 'easiest':
            picked = herding(own, count)
        else:
            order = difficulty(own).argsort(descending=True, stable=True)
            picked = order[:count].tolist()
        chosen += [members[i] for i in picked]
    return sorted(chosen)


def select_images(
    runner: Runner, count: int, how: str, trained: bool
) -> dict[str, Any]:
    """Choose training images by the CLS token of a model.

    Args:
        runner (Runner): Built, with the weights that are to judge; its
            training set is a seeded subset that takes all images.
        count (int): Images of each class.
        how (str): See :func:`choose`.
        trained (bool): Judge by the whole backbone; False: by the bare Black
            Box.

    Returns:
        dict: A record that serves as ``indices_file`` of the training set.

    Raises:
        ValueError: The training set is no seeded subset.
    """
    dataset = runner.train_dataloader.dataset
    if not isinstance(dataset, SeededSubset):
        raise ValueError(
            'the training set must be a HoldOut or a FewShotSubset, which '
            f'can read chosen images, got {type(dataset).__name__}.'
        )
    data = extract_train_features(runner, cls_token_of(runner, trained))
    num_classes = len(dataset.metainfo['classes'])
    chosen = choose(data.features, data.labels, num_classes, count, how)
    return {
        **dataset.record,
        'selected': {'how': how, 'per_class': count},
        'indices': [dataset.indices[i] for i in chosen],
    }


def cls_token_of(runner: Runner, trained: bool) -> Callable[[Tensor], Tensor]:
    """Maps images (B, 3, H, W) to projected CLS tokens (B, D)."""
    backbone: nn.Module = bare_model(runner).backbone
    if not trained:
        black_box = backbone.black_box
        return lambda img: black_box.project(black_box(img)[:, 0])

    def compute(img: Tensor) -> Tensor:
        features = backbone(img)
        return getattr(features, 'cls_token', features[-1])

    return compute
