import math

import pytest
import torch
import torch.nn.functional as F

from lore_mm.models import KnowledgeLocalityAttention
from lore_mm.models.white_box.knowledge_attention import keep_largest

DIMS, TEXT_DIMS, CLASSES, PATCHES, BATCH = 6, 5, 4, 12, 2
DOUBLE = dict(dtype=torch.double)


def inputs():
    q = F.normalize(torch.randn(CLASSES, TEXT_DIMS, **DOUBLE), dim=-1)
    return q, torch.randn(BATCH, PATCHES, DIMS, **DOUBLE)


def softmax(scores):
    exp = [math.exp(score) for score in scores]
    return [value / sum(exp) for value in exp]


def only_largest(scores, top):
    kept = sorted(scores, reverse=True)[:top]
    return [score if score in kept else 0.0 for score in scores]


# -- phi_N ---------------------------------------------------------------
def test_keep_largest_sets_others_to_zero():
    scores = torch.tensor([[3.0, -1.0, 2.0, 5.0], [-4.0, -1.0, -2.0, -3.0]])
    expected = torch.tensor([[0.0, 0.0, 0.0, 5.0], [0.0, -1.0, 0.0, 0.0]])
    assert torch.equal(keep_largest(scores, 1), expected)
    expected = torch.tensor([[3.0, 0.0, 0.0, 5.0], [0.0, -1.0, -2.0, 0.0]])
    assert torch.equal(keep_largest(scores, 2), expected)
    assert torch.equal(keep_largest(scores, 9), scores)


def test_gradient_flows_through_kept_scores_only():
    scores = torch.tensor([3.0, -1.0, 2.0], requires_grad=True)
    keep_largest(scores, 2).sum().backward()
    assert scores.grad.tolist() == [1.0, 0.0, 1.0]


# -- against loops -------------------------------------------------------
def released_by_loops(kla, q, tokens):
    out = torch.empty(BATCH, CLASSES, DIMS, **DOUBLE)
    for b in range(BATCH):
        key = tokens[b] @ kla.key.weight.T
        value = tokens[b] @ kla.value.weight.T
        for c in range(CLASSES):
            scores = [float(q[c] @ row) * math.sqrt(14) for row in key]
            scores = only_largest(scores, kla.top)
            length = math.sqrt(sum(score**2 for score in scores))
            scores = [score / length * PATCHES for score in scores]
            weights = softmax(scores)
            mixed = sum(w * v for w, v in zip(weights, value, strict=True))
            out[b, c] = kla.proj.weight @ mixed + kla.proj.bias
    return out


def paper_by_loops(kla, q, tokens, heads):
    """LORE, Eqs. (5)-(7); each head has its share of the channels."""
    size = DIMS // heads
    query = q @ kla.query.weight.T
    mixed = torch.empty(BATCH, CLASSES, DIMS, **DOUBLE)
    for b in range(BATCH):
        key = tokens[b] @ kla.key.weight.T
        value = tokens[b] @ kla.value.weight.T
        for c in range(CLASSES):
            for h in range(heads):
                part = slice(h * size, (h + 1) * size)
                scores = [
                    float(query[c, part] @ row[part]) / math.sqrt(size)
                    for row in key
                ]
                weights = softmax(only_largest(scores, kla.top))
                mixed[b, c, part] = sum(
                    w * v[part] for w, v in zip(weights, value, strict=True)
                )
    rows = (kla.mlp(mixed) + mixed).view(-1, DIMS)
    mean, var = rows.mean(0), rows.var(0, unbiased=False)
    rows = (rows - mean) / (var + kla.norm.eps).sqrt()
    return (rows * kla.norm.weight + kla.norm.bias).view_as(mixed)


@pytest.mark.parametrize('kwargs', [{}, dict(preset='paper')])
def test_precision_under_autocast(kwargs):
    """M times the scores: their rounding in bf16 would be multiplied too."""
    torch.manual_seed(0)
    dims, patches = 64, 1369  # a 37 x 37 grid
    kla = KnowledgeLocalityAttention(dims, dims, **kwargs).eval()
    q = F.normalize(torch.randn(5, dims), dim=-1)
    tokens = torch.randn(2, patches, dims)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rounded = kla(q, tokens)
    similar = F.cosine_similarity(rounded.float(), kla(q, tokens), dim=-1)
    assert float(similar.min()) > 0.9995


@pytest.mark.parametrize('top', [1, 3, 99])
def test_released_equals_loops(scramble, top):
    kla = KnowledgeLocalityAttention(DIMS, TEXT_DIMS, top=top)
    scramble(kla).double()
    q, tokens = inputs()
    with torch.no_grad():
        torch.testing.assert_close(
            kla(q, tokens), released_by_loops(kla, q, tokens)
        )


@pytest.mark.parametrize('heads', [1, 3])
def test_paper_equals_loops(scramble, heads):
    kla = KnowledgeLocalityAttention(
        DIMS, TEXT_DIMS, preset='paper', top=3, num_heads=heads
    )
    scramble(kla).double()
    q, tokens = inputs()
    with torch.no_grad():
        torch.testing.assert_close(
            kla(q, tokens), paper_by_loops(kla, q, tokens, heads)
        )


@pytest.mark.parametrize(
    'kwargs', [dict(), dict(preset='paper', num_heads=2)], ids=str
)
def test_attention_of_patches_that_are_not_kept(scramble, kwargs):
    """Zeros and not minus infinity: they share what is left."""
    kla = KnowledgeLocalityAttention(DIMS, TEXT_DIMS, top=2, **kwargs)
    scramble(kla).double()
    attention = kla.attention(*inputs())
    assert attention.shape == (
        BATCH,
        kwargs.get('num_heads', 1),
        CLASSES,
        PATCHES,
    )
    torch.testing.assert_close(
        attention.sum(-1), torch.ones_like(attention[..., 0])
    )
    assert attention.min() > 0
    for row in attention.flatten(0, 2):
        values, counts = row.round(decimals=9).unique(return_counts=True)
        assert PATCHES - 2 in counts.tolist(), values


@pytest.mark.parametrize(
    'kwargs', [dict(), dict(preset='paper', norm='layer')], ids=str
)
def test_every_weight_gets_a_gradient(kwargs):
    kla = KnowledgeLocalityAttention(DIMS, TEXT_DIMS, **kwargs).double()
    kla(*inputs()).square().sum().backward()
    for name, parameter in kla.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(preset='new'), "preset must be .* got 'new'"),
        (dict(num_heads=2), "num_heads must be 1 in preset 'released', got 2"),
        (dict(preset='paper', num_heads=4), 'num_heads must divide 6, got 4'),
        (dict(preset='paper', num_heads=0), 'num_heads must divide 6, got 0'),
        (dict(top=0), 'top must be at least 1, got 0'),
        (dict(preset='paper', norm='x'), "norm must be one of .* got 'x'"),
    ],
)
def test_constructor_errors(kwargs, match):
    with pytest.raises(ValueError, match=match):
        KnowledgeLocalityAttention(DIMS, TEXT_DIMS, **kwargs)
