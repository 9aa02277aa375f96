import pytest
import torch
import torch.nn.functional as F

from lore_mm.models.white_box.graph import knn_indices, neighbour_max


def brute_force(features, k):
    """Nearest first by distances of all pairs, for each image."""
    distances = torch.cdist(features, features) ** 2
    values, indices = distances.sort(dim=-1)
    return indices[..., :k], values[..., :k]


@pytest.mark.parametrize('normalize', [True, False])
def test_neighbours_equal_brute_force(normalize):
    features = torch.randn(3, 20, 6)
    indices, distances = knn_indices(features, 5, normalize)
    if normalize:
        features = F.normalize(features, dim=-1)
    expected, values = brute_force(features.double(), 5)
    assert torch.equal(indices, expected)
    torch.testing.assert_close(distances, values.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('normalize', [True, False])
def test_a_patch_is_its_own_first_neighbour(normalize):
    indices, distances = knn_indices(torch.randn(2, 15, 8), 4, normalize)
    assert torch.equal(indices[..., 0], torch.arange(15).expand(2, 15))
    assert distances[..., 0].max() < 1e-5


def test_all_patches_when_k_is_larger():
    indices, distances = knn_indices(torch.randn(2, 4, 8), 9)
    assert indices.shape == distances.shape == (2, 4, 4)
    expected = torch.arange(4).expand(2, 4, 4)
    assert torch.equal(indices.sort(-1).values, expected)


def test_normalised_neighbours_ignore_lengths():
    features = torch.randn(1, 12, 4)
    scaled = features * torch.rand(1, 12, 1).add(0.1)
    assert torch.equal(knn_indices(features, 3)[0], knn_indices(scaled, 3)[0])


@pytest.mark.parametrize('k', [1, 3])
def test_choice_between_equal_patches_changes_nothing(k):
    """Which of two equal patches is taken makes no difference."""
    first = torch.randn(2, 6, 5)
    twice = torch.cat([first, first], dim=1)
    for features in (twice, twice.flip(1)):
        indices, _ = knn_indices(features, 2 * k)
        expected, _ = knn_indices(first, k)
        expected = neighbour_max(first, expected).repeat(1, 2, 1)
        if features is not twice:
            expected = expected.flip(1)
        assert torch.equal(neighbour_max(features, indices), expected)


def test_autocast_does_not_change_neighbours():
    """In bfloat16 these distances would all be the same."""
    features = torch.ones(1, 16, 8) + 1e-3 * torch.randn(1, 16, 8)
    expected, _ = knn_indices(features, 3, normalize=False)
    with torch.autocast('cpu', torch.bfloat16):
        indices, _ = knn_indices(features, 3, normalize=False)
    assert torch.equal(indices, expected)


def test_neighbours_carry_no_gradient():
    _, distances = knn_indices(torch.randn(1, 5, 3, requires_grad=True), 2)
    assert not distances.requires_grad


def test_neighbour_max_equals_loop():
    features = torch.randn(2, 7, 4)
    indices = torch.randint(7, (2, 7, 3))
    out = neighbour_max(features, indices)
    for b in range(2):
        for i in range(7):
            expected = features[b, indices[b, i]].max(0).values
            assert torch.equal(out[b, i], expected)


def test_neighbour_max_gradient():
    features = torch.randn(2, 5, 3, dtype=torch.double, requires_grad=True)
    indices = torch.randint(5, (2, 5, 3))
    torch.autograd.gradcheck(lambda x: neighbour_max(x, indices), features)


def test_neighbour_max_with_and_without_gradients():
    features = torch.randn(2, 9, 5)
    indices, _ = knn_indices(features, 4)
    expected = neighbour_max(features, indices)
    features.requires_grad_()
    assert torch.equal(neighbour_max(features, indices), expected)


def test_gradient_of_equal_neighbours_is_not_lost():
    features = torch.ones(1, 3, 2, requires_grad=True)
    indices = torch.tensor([[[0, 1], [1, 0], [2, 0]]])
    neighbour_max(features, indices).sum().backward()
    assert features.grad.sum() == 6


def test_neighbour_max_of_transposed_features():
    features = torch.randn(2, 4, 6).transpose(1, 2)  # not contiguous
    indices = torch.randint(6, (2, 6, 2))
    expected = neighbour_max(features.contiguous(), indices)
    assert torch.equal(neighbour_max(features, indices), expected)
