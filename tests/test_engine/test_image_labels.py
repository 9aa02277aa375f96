import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lore_mm.engine import image_labels
from lore_mm.engine.image_labels import most_similar, nearest_class_mean


def test_most_similar_ignores_length():
    features = torch.tensor([[1.0, 0.1], [0.1, 100.0]])
    anchors = torch.tensor([[0.0, 0.01], [50.0, 0.0]])
    assert most_similar(features, anchors).tolist() == [1, 0]


POINTS = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.0, 1.0]])


def test_leave_one_out():
    # Image 1 lies between the classes: with itself in its class's mean it is
    # of class 0 (cosine .89 against .8), without it of class 1 (.6).
    labels = torch.tensor([0, 0, 1, 1])
    assert nearest_class_mean(POINTS, labels, 2).tolist() == [0, 0, 1, 1]
    left = nearest_class_mean(POINTS, labels, 2, leave_one_out=True)
    assert left.tolist() == [0, 1, 1, 1]
    # The only image of a class cannot be recognised from the others.
    single = torch.tensor([0, 1, 1, 1])
    assert nearest_class_mean(POINTS, single, 2).tolist() == [0, 1, 1, 1]
    left = nearest_class_mean(POINTS, single, 2, leave_one_out=True)
    assert left.tolist() == [1, 1, 1, 1]


def test_class_without_images_is_never_predicted():
    points = -POINTS  # all similarities to an empty mean would be 0
    points[0] = torch.tensor([0.0, 1.0])
    labels = torch.tensor([0, 2, 2, 2])
    predicted = nearest_class_mean(points, labels, 4)
    assert predicted.tolist() == [0, 2, 2, 2]
    left = nearest_class_mean(points, labels, 4, leave_one_out=True)
    assert left.tolist() == [2, 2, 2, 2]


def test_labels_out_of_range():
    with pytest.raises(ValueError, match=r'in \[0, 2\), got 0..3; does num_'):
        nearest_class_mean(POINTS, torch.tensor([0, 1, 2, 3]), 2)


def plain_class_mean(
    features: Tensor, labels: Tensor, num_classes: int, leave_one_out: bool
) -> Tensor:
    """The formula for all images at once."""
    features = normalize(features.double(), dim=-1)
    members = torch.nn.functional.one_hot(labels, num_classes).double()
    similarity = features @ normalize(members.T @ features, dim=-1).T
    if leave_one_out:
        own = (members.T @ features)[labels] - features
        value = (features * normalize(own, dim=-1)).sum(-1)
        similarity[torch.arange(len(labels)), labels] = value
    return similarity.argmax(-1)


@pytest.mark.parametrize('leave_one_out', [False, True])
def test_few_images_at_a_time_equal_all_at_once(monkeypatch, leave_one_out):
    torch.manual_seed(0)
    labels = torch.arange(50) % 4
    features = torch.randn(50, 6) + 0.5 * torch.randn(4, 6)[labels]
    rows = []

    def noted(x: Tensor, dim: int) -> Tensor:
        rows.append(len(x))
        assert x.dtype == torch.float64
        return normalize(x, dim=dim)

    monkeypatch.setattr(image_labels, 'normalize', noted)
    monkeypatch.setattr(image_labels, '_CHUNK', 7)
    predicted = nearest_class_mean(features, labels, 4, leave_one_out)
    expected = plain_class_mean(features, labels, 4, leave_one_out)
    assert torch.equal(predicted, expected)
    assert len(set(predicted.tolist())) == 4
    assert not torch.equal(predicted, labels)
    assert max(rows) == 7
