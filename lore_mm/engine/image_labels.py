"""Predicted labels of training images, and how to find them again."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .feature_extraction import TrainSetFeatures

_CHUNK = 2048  # images taken at a time
# Keys of an image, the most telling first.
_KEYS = (('img_path', 'sample_idx'), ('img_path',), ('sample_idx',))
_AMBIGUOUS = -1
_SAME = 1e-3  # relative distance below which two features are of one image


def most_similar(features: Tensor, anchors: Tensor) -> Tensor:
    """Index of the anchor with the largest cosine similarity.

    Args:
        features (Tensor): (n, D).
        anchors (Tensor): (K, D).

    Returns:
        Tensor: int64 (n,).
    """
    anchors = normalize(anchors, dim=-1)
    parts = [
        (normalize(chunk, dim=-1) @ anchors.T).argmax(-1)
        for chunk in features.split(_CHUNK)
    ]
    return torch.cat(parts)


def nearest_class_mean(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    leave_one_out: bool = False,
) -> Tensor:
    """Class whose mean has the largest cosine similarity to each image.

    Features are L2-normalised first, in float64 and few at a time, as those
    of ImageNet take gigabytes. A class without images is never predicted.

    Args:
        features (Tensor): (n, D), n >= 1.
        labels (Tensor): True classes (n,).
        num_classes (int): K.
        leave_one_out (bool): Take the image itself out of its class's mean;
            the only image of a class is then given another class.

    Returns:
        Tensor: int64 (n,).

    Raises:
        ValueError: A label is outside of [0, K).
    """
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f'labels must be in [0, {num_classes}), got '
            f'{int(labels.min())}..{int(labels.max())}; does num_classes fit '
            'the training set?'
        )
    predicted = torch.empty_like(labels)
    each = (features, labels, predicted)
    chunks = list(zip(*(x.split(_CHUNK) for x in each), strict=True))
    sums = features.new_zeros(
        num_classes, features.shape[1], dtype=torch.float64
    )
    for chunk, own, _ in chunks:
        sums.index_add_(0, own, normalize(chunk.double(), dim=-1))  # (K, D)
    counts = labels.bincount(minlength=num_classes)
    means = normalize(sums, dim=-1)
    for chunk, own, answer in chunks:
        chunk = normalize(chunk.double(), dim=-1)
        similarity = chunk @ means.T  # (n, K)
        if leave_one_out:
            rest = normalize(sums[own] - chunk, dim=-1)
            value = (chunk * rest).sum(-1).masked_fill(counts[own] == 1, -2.0)
            similarity.scatter_(1, own[:, None], value[:, None])
        answer[:] = similarity.masked_fill(counts == 0, -3.0).argmax(-1)
    return predicted


class LabelTable:
    """Predicted label by image, through whatever identifies the image.

    Args:
        data (TrainSetFeatures): The training images.
        predicted (Tensor): Their labels (n,).

    Raises:
        ValueError: No image has an ``img_path`` or a ``sample_idx``.
    """

    def __init__(self, data: TrainSetFeatures, predicted: Tensor) -> None:
        self.predicted = predicted.tolist()
        self.rows = {keys: self._index(data, keys) for keys in _KEYS}
        if not any(self.rows.values()):
            raise ValueError(
                'training images cannot be recognised: keep img_path or '
                'sample_idx in meta_keys of PackInputs in the validation '
                'pipeline.'
            )

    def _index(
        self, data: TrainSetFeatures, keys: tuple[str, ...]
    ) -> dict[tuple, int]:
        """Row of each image; ``_AMBIGUOUS`` where images share a key."""
        rows: dict[tuple, int] = {}
        for row, found in enumerate(data.ids):
            if not all(key in found for key in keys):
                continue
            value = tuple(found[key] for key in keys)
            first = rows.setdefault(value, row)
            if first not in (row, _AMBIGUOUS) and self._differ(
                data.features, first, row
            ):
                rows[value] = _AMBIGUOUS
        return rows

    def _differ(self, features: Tensor, first: int, second: int) -> bool:
        """Whether two rows are two images with two predictions."""
        if self.predicted[first] == self.predicted[second]:
            return False
        gap = (features[first] - features[second]).norm()
        return bool(gap > _SAME * features[first].norm())

    def find(self, found: dict) -> int:
        """Predicted label of an image.

        Args:
            found (dict): Its ``img_path``, ``sample_idx`` or both.

        Raises:
            ValueError: The image is unknown, or other images have the same
                identifiers and another prediction.
        """
        for keys in _KEYS:
            if not all(key in found for key in keys):
                continue
            rows = self.rows[keys]
            row = rows.get(tuple(found[key] for key in keys))
            if row == _AMBIGUOUS:
                raise ValueError(
                    f'several training images have the same {found}; keep '
                    'img_path in meta_keys of PackInputs, or make them differ '
                    'in sample_idx.'
                )
            if row is not None:
                return self.predicted[row]
            if keys == ('img_path',) and rows:
                break  # an unknown path: an index alone may mean another image
        raise ValueError(
            f'no prediction of the Black Box for the training image {found}; '
            'keep img_path or sample_idx in meta_keys of PackInputs in both '
            'the training and the validation pipeline.'
        )
