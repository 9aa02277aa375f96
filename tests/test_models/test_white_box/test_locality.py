import itertools

import pytest
import torch
import torch.nn.functional as F

from lore_mm.models import LocalityInteractionNetwork
from lore_mm.models.white_box.locality import POOLS, pool_tokens

DIMS, PATCHES = 8, 10


def make(scramble, variant='grapher', norm='batch', **kwargs):
    lin = LocalityInteractionNetwork(
        DIMS, variant=variant, norm=norm, **kwargs
    )
    return scramble(lin).double()


def tokens():
    return torch.randn(3, PATCHES, DIMS, dtype=torch.double)


def nearest(rows, k):
    """Indices (N, k) of one image's nearest rows, nearest first."""
    return torch.cdist(rows, rows).argsort(-1)[:, :k]


# -- against loops -------------------------------------------------------
def test_paper_equals_loops(scramble):
    """LORE, Eqs. (3)-(4)."""
    lin = make(scramble, 'max_relative', k=4)
    x = tokens()
    w1, w2 = lin.ffn_in.weight.T, lin.ffn_out.weight.T
    expected = torch.empty_like(x)
    for b in range(len(x)):
        neighbours = nearest(x[b], 4)
        for i in range(PATCHES):
            differences = [x[b, i] - x[b, j] for j in neighbours[i]]
            e = torch.stack(differences).max(0).values
            expected[b, i] = torch.relu(e @ w1) @ w2 + x[b, i]
    torch.testing.assert_close(lin(x), expected)


def conv(layer, x):
    """The layer as a 1x1 convolution and BatchNorm2d on (B, C, H, W)."""
    norm = layer.norm
    out = F.conv2d(
        x, layer.weight[:, :, None, None], layer.bias, groups=layer.groups
    )
    return F.batch_norm(
        out,
        norm.running_mean.clone(),
        norm.running_var.clone(),
        norm.weight,
        norm.bias,
        training=norm.training,
    )


@pytest.mark.parametrize('training', [True, False])
def test_released_equals_convolutions(scramble, training):
    """The five steps of a Vision GNN block on (B, d, H, W), by loops."""
    lin = make(scramble, k=3).train(training)
    x = torch.randn(3, DIMS, 2, 5, dtype=torch.double)
    h = conv(lin.conv_in, x)
    rows = h.flatten(2).transpose(1, 2)  # (B, N, d)
    z = torch.empty(3, PATCHES, 2 * DIMS, dtype=torch.double)
    for b in range(3):
        neighbours = nearest(F.normalize(rows[b], dim=-1), 3)
        for i in range(PATCHES):
            m = (rows[b, neighbours[i]] - rows[b, i]).max(0).values
            z[b, i, 0::2] = rows[b, i]
            z[b, i, 1::2] = m
    z = z.transpose(1, 2).unflatten(2, (2, 5))
    y = conv(lin.conv_out, F.gelu(conv(lin.conv_graph, z))) + x
    y = conv(lin.ffn_out, F.gelu(conv(lin.ffn_in, y))) + y
    out = lin(x.flatten(2).transpose(1, 2))
    torch.testing.assert_close(out, y.flatten(2).transpose(1, 2))


# -- pooling -------------------------------------------------------------
def outliers(x, features, k, top):
    """Mean of the ``top`` tokens farthest from their k neighbours."""
    out = []
    for image, rows in zip(x, features, strict=True):
        distances = torch.cdist(rows, rows).square().sort(-1).values
        unlike = distances[:, :k].mean(-1)
        out.append(image[unlike.argsort(descending=True)[:top]].mean(0))
    return torch.stack(out)


POOLED = {
    'mean': lambda x, *_: x.mean(1),
    'max': lambda x, *_: x.max(1).values,
    'mean_max': lambda x, *_: torch.cat([x.mean(1), x.max(1).values], 1),
    'max_min': lambda x, *_: torch.cat([x.max(1).values, x.min(1).values], 1),
    'outlier': outliers,
}

SETTINGS = [
    ('max_relative', 'none'),
    *itertools.product(['grapher'], ['batch', 'layer', 'none']),
]


@pytest.mark.parametrize('pool', POOLS)
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('variant, norm', SETTINGS)
def test_pooled_equals_pooled_tokens(scramble, variant, norm, training, pool):
    lin = make(scramble, variant, norm, k=3).train(training)
    x = tokens()
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            pooled = lin.pooled(x, pool, top=2)
            whole = lin(x)
            both = lin.forward_pooled(x, pool, top=2)
            features = x
            if variant == 'grapher':
                features = F.normalize(lin.conv_in(x), dim=-1)
        expected = POOLED[pool](whole, features, 3, 2)
        torch.testing.assert_close(pooled, expected)
        torch.testing.assert_close(both[0], whole)
        torch.testing.assert_close(both[1], expected)


@pytest.mark.parametrize('variant, norm', SETTINGS)
def test_gain_zero_starts_as_the_identity(variant, norm):
    lin = make(lambda module: module, variant, norm, gain_init=0.0)
    x = tokens()
    assert torch.equal(lin(x), x)
    lin(x).square().sum().backward()
    for branch in lin.branches():  # yet it learns
        gains = branch.weight if norm == 'none' else branch.norm.weight
        assert gains.grad.abs().max() > 0


def test_mean_maps_one_row_per_image(scramble, monkeypatch):
    """The shortcut is taken, not only right."""
    lin = make(scramble).eval()
    shapes = []
    forward = lin.ffn_out.forward

    def spy(x):
        shapes.append(tuple(x.shape))
        return forward(x)

    monkeypatch.setattr(lin.ffn_out, 'forward', spy)
    with torch.no_grad():
        lin.pooled(tokens())
        lin.pooled(tokens(), 'max')
    assert shapes == [(3, 4 * DIMS), (3, PATCHES, 4 * DIMS)]


def test_more_outliers_than_patches_is_the_mean(scramble):
    lin = make(scramble).eval()
    x = tokens()
    torch.testing.assert_close(
        lin.pooled(x, 'outlier', top=99), lin.pooled(x, 'mean')
    )


@pytest.mark.parametrize('variant, norm', SETTINGS)
def test_gradient(scramble, variant, norm):
    lin = make(scramble, variant, norm, k=3)
    x = tokens()[:2, :4].requires_grad_()
    torch.autograd.gradcheck(lin.pooled, x)
    lin(x).sum().backward()
    assert all(p.grad is not None for p in lin.parameters())


# -- sizes and errors ----------------------------------------------------
@pytest.mark.parametrize('variant', ['grapher', 'max_relative'])
@pytest.mark.parametrize('number', [1, 2, 7])
def test_any_number_of_patches(variant, number):
    lin = LocalityInteractionNetwork(DIMS, variant=variant).eval()
    assert lin(torch.randn(2, number, DIMS)).shape == (2, number, DIMS)


def test_sizes_of_the_parts():
    lin = LocalityInteractionNetwork(DIMS, groups=2, ffn_ratio=3)
    assert lin.conv_graph.weight.shape == (2 * DIMS, DIMS)
    assert lin.ffn_in.weight.shape == (3 * DIMS, DIMS)
    paper = LocalityInteractionNetwork(DIMS, variant='max_relative')
    assert sum(p.numel() for p in paper.parameters()) == 2 * DIMS**2


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(variant='gcn'), "variant must be one of .* got 'gcn'"),
        (dict(k=0), 'k must be at least 1, got 0'),
        (dict(norm='group'), "norm must be one of .* got 'group'"),
        (dict(groups=3), 'groups must divide 16 and 16, got 3'),
    ],
)
def test_constructor_errors(kwargs, match):
    with pytest.raises(ValueError, match=match):
        LocalityInteractionNetwork(DIMS, **kwargs)


def test_unknown_pool():
    with pytest.raises(ValueError, match="pool must be one of .* got 'min'"):
        pool_tokens(torch.randn(1, 2, 3), 'min', torch.randn(1, 2, 1))
