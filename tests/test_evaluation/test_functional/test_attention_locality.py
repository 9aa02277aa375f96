import numpy as np
import pytest
import torch

from lore_mm.evaluation.functional import (
    attention_distance,
    attention_mass,
    patch_cover,
)


def test_distance_by_hand():
    weights = torch.zeros(2, 6, 6)
    weights[0] = torch.eye(6)  # each patch looks at itself
    weights[1, :, 0] = 0.5  # all look at the first; rows need not sum to 1
    found = attention_distance(weights, (2, 3))
    expected = (0 + 1 + 2 + 1 + 2**0.5 + 5**0.5) / 6
    torch.testing.assert_close(found, torch.tensor([0.0, expected]))


def test_distance_of_another_grid():
    with pytest.raises(ValueError, match=r'must be \(\.\.\., 6, 6\)'):
        attention_distance(torch.ones(5, 5), (2, 3))


def test_mass():
    weights = torch.tensor([[0.1, 0.3, 0.0, 0.1], [0.2, 0.2, 0.2, 0.2]])
    cover = torch.tensor([1.0, 0.5, 1.0, 0.0])
    expected = torch.tensor([0.5, 0.625])
    torch.testing.assert_close(attention_mass(weights, cover), expected)


def test_cover():
    mask = np.zeros((4, 6), bool)
    mask[:2, 1:4] = True
    found = patch_cover(mask, (2, 3))
    expected = torch.tensor([0.5, 1, 0, 0, 0, 0])
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match='must divide the mask, got 4 x 6'):
        patch_cover(mask, (3, 3))
