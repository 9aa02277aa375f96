import math

import pytest
import torch

from lore_mm.models import PrototypeConstraintLoss
from lore_mm.registry import MODELS

# Three classes whose prototypes stand at 0, 90 and 180 degrees for the first
# image, and turned by 90 for the others; lengths must not matter.
AXES = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-5.0, 0.0]])
TURNED = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
PROTOTYPES = torch.stack([AXES, TURNED, TURNED, TURNED])
LATENT = torch.tensor([[3.0, 3.0], [0.0, 7.0], [1.0, 0.0], [-1.0, 1.0]])
TARGET = torch.tensor([0, 0, 1, 2])
PREDICTED = torch.tensor([0, 2, 0, 1])

ROOT = math.sqrt(0.5)
COSINES = [ROOT, 1.0, -1.0, -ROOT]  # to the prototype of the target
WRONG = [-1.0, 0.0, ROOT]  # to that of the prediction, images 1 to 3


def test_terms_by_hand():
    positive, negative = PrototypeConstraintLoss.terms(
        LATENT, PROTOTYPES, TARGET, PREDICTED
    )
    assert float(positive) == pytest.approx(sum(COSINES) / 4, abs=1e-6)
    # the whole batch divides, not the three wrong images
    assert float(negative) == pytest.approx(sum(WRONG) / 4)


def test_weights_of_both_terms():
    loss = PrototypeConstraintLoss(positive_weight=2.0, negative_weight=0.5)
    expected = -2.0 * sum(COSINES) / 4 + 0.5 * sum(WRONG) / 4
    value = float(loss(LATENT, PROTOTYPES, TARGET, PREDICTED))
    assert value == pytest.approx(expected)


def test_default_weights_are_the_papers():
    loss = MODELS.build(dict(type='lore_mm.PrototypeConstraintLoss'))
    assert (loss.positive_weight, loss.negative_weight) == (0.1, 0.1)


def test_all_right_leaves_the_positive_term():
    loss = PrototypeConstraintLoss()
    value = loss(LATENT, PROTOTYPES, TARGET, TARGET)
    assert float(value) == pytest.approx(-0.1 * sum(COSINES) / 4, abs=1e-7)


def test_equals_equation_10_for_each_image():
    """One image at a time: the batch is their mean."""
    torch.manual_seed(0)
    latent, prototypes = torch.randn(5, 8), torch.randn(5, 3, 8)
    target = torch.tensor([0, 1, 2, 0, 1])
    predicted = torch.tensor([0, 2, 2, 1, 0])
    values = []
    for y, a, t, p in zip(latent, prototypes, target, predicted, strict=True):
        value = -(y @ a[t]) / (y.norm() * a[t].norm())
        if t != p:
            value = value + (y @ a[p]) / (y.norm() * a[p].norm())
        values.append(0.1 * value)
    out = PrototypeConstraintLoss()(latent, prototypes, target, predicted)
    torch.testing.assert_close(out, torch.stack(values).mean())


def test_gradient_pulls_and_pushes():
    latent = LATENT.clone().requires_grad_()
    prototypes = PROTOTYPES.clone().requires_grad_()
    loss = PrototypeConstraintLoss()
    loss(latent, prototypes, TARGET, PREDICTED).backward()
    step = latent.detach() - 0.1 * latent.grad
    before = PrototypeConstraintLoss.terms(
        LATENT, PROTOTYPES, TARGET, PREDICTED
    )
    after = PrototypeConstraintLoss.terms(step, PROTOTYPES, TARGET, PREDICTED)
    assert after[0] > before[0]
    assert after[1] < before[1]
    touched = prototypes.grad.abs().sum(-1) > 0
    assert touched[0].tolist() == [True, False, False]  # right: the target
    assert not touched[1, 1]
    assert not touched[3, 0]


def test_half_precision_is_computed_in_float32():
    out = PrototypeConstraintLoss()(
        LATENT.bfloat16(), PROTOTYPES.bfloat16(), TARGET, PREDICTED
    )
    assert out.dtype == torch.float32


def test_shares_of_one_class_are_its_label():
    shares = torch.eye(3)[TARGET]
    loss = PrototypeConstraintLoss()
    expected = loss(LATENT, PROTOTYPES, TARGET, PREDICTED)
    value = loss(LATENT, PROTOTYPES, shares, PREDICTED)
    torch.testing.assert_close(value, expected)


def test_shares_of_mixed_images():
    """The second image is half of class 0, at cosine 1, half of class 2."""
    shares = torch.eye(3)[TARGET]
    shares[1] = torch.tensor([0.5, 0.0, 0.5])
    positive, negative = PrototypeConstraintLoss.terms(
        LATENT, PROTOTYPES, shares, PREDICTED
    )
    mixed = [COSINES[0], 0.5 * 1.0 + 0.5 * -1.0, *COSINES[2:]]
    assert float(positive) == pytest.approx(sum(mixed) / 4, abs=1e-6)
    # it was taken for class 2, which is no mistake now
    assert float(negative) == pytest.approx(sum(WRONG[1:]) / 4, abs=1e-6)
