import pytest
import torch

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
