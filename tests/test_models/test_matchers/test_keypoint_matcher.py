"""KeypointMatcher: geometry, one extraction for each image, bad input."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement
from torch import nn

from lore_mm.models import KeypointMatcher
from lore_mm.models.matchers.matching import READOUTS


def element(points):
    points = np.asarray(points, float)
    return BaseDataElement(source_points=points, target_points=points)


def batch(pairs, refs, points=((10.0, 10.0),)):
    return dict(
        source=[refs[a] for a, _ in pairs],
        target=[refs[b] for _, b in pairs],
        data_samples=[element(points) for _ in pairs],
    )


@pytest.fixture
def count(monkeypatch):
    """Images that go through the matcher's backbone."""
    seen = []
    forward = KeypointMatcher.token_map

    def counted(self, inputs):
        seen.append(len(inputs))
        return forward(self, inputs)

    monkeypatch.setattr(KeypointMatcher, 'token_map', counted)
    return seen


@pytest.mark.parametrize('readout', READOUTS)
@pytest.mark.parametrize('size', [(90, 60), (40, 130)])
def test_an_image_matches_itself_in_its_own_pixels(
    make_matcher, make_refs, readout, size
):
    """Non-square images, squashed: both axes come back with their scale."""
    model = make_matcher(readout=readout)
    (ref,) = make_refs(1, size)
    cell = size[0] / 4, size[1] / 4  # a grid of 4 x 4
    points = [
        ((j + 0.5) * cell[0], (i + 0.5) * cell[1])
        for i in range(4)
        for j in range(4)
    ]
    data = dict(source=[ref], target=[ref], data_samples=[element(points)])
    (sample,) = model.test_step(data)
    assert sample.grid == (4, 4)
    assert sample.cell == pytest.approx(cell)
    assert sample.source_size == sample.target_size == size
    gap = np.abs(sample.pred_points.numpy() - points)
    assert (gap <= np.array(cell) / 2).all()
    assert sample.pred_mutual.all()
    # An interpolated cosine is below that of the patch itself.
    assert sample.pred_scores.min() > 0.9


def test_points_on_the_border(make_matcher, make_refs):
    model = make_matcher(readout='patch-centre')
    (ref,) = make_refs(1, (90, 60))
    corners = [(0, 0), (90, 60), (90, 0), (0, 60)]
    data = dict(source=[ref], target=[ref], data_samples=[element(corners)])
    (sample,) = model.test_step(data)
    wanted = [[11.25, 7.5], [78.75, 52.5], [78.75, 7.5], [11.25, 52.5]]
    assert sample.pred_points.tolist() == wanted


def test_padding_below_or_to_the_right(make_matcher, make_refs):
    """Proportions kept: 90 x 60 becomes 64 x 43, padded to 64 x 64."""
    model = make_matcher(readout='patch-centre')
    steps = [
        dict(type='Resize', scale=(64, 64), keep_ratio=True, backend='pillow'),
        dict(type='Pad', size=(64, 64)),
    ]
    (ref,) = make_refs(1, (90, 60), steps=steps)
    data = dict(
        source=[ref], target=[ref], data_samples=[element([(80.0, 10.0)])]
    )
    (sample,) = model.test_step(data)
    assert sample.cell == pytest.approx((16 * 90 / 64, 16 * 60 / 43))
    wanted = [3.5 * 16 * 90 / 64, 0.5 * 16 * 60 / 43]
    assert sample.pred_points[0].tolist() == pytest.approx(wanted)


def test_a_pipeline_that_crops_is_refused(make_matcher, make_refs):
    model = make_matcher()
    steps = [
        dict(
            type='Resize', scale=(96, 96), backend='pillow', keep_ratio=False
        ),
        dict(type='CenterCrop', crop_size=64),
    ]
    refs = make_refs(1, steps=steps)
    with pytest.raises(ValueError, match='the pipeline cuts images off'):
        model.extract(refs)


def test_each_image_is_extracted_once_in_any_order(
    make_matcher, make_refs, count
):
    model = make_matcher()
    refs = make_refs(6)
    pairs = list(itertools.permutations(range(6), 2))
    random.Random(0).shuffle(pairs)
    for start in range(0, len(pairs), 4):
        model.test_step(batch(pairs[start : start + 4], refs))
    assert sum(count) == 6
    assert model.cache.num_repeats == 0


def test_the_cache_is_bounded(make_matcher, make_refs, count):
    """Two images fit: pairs still come out right, at the price of repeats."""
    full, small = make_matcher(), make_matcher(cache_mb=2 * 4096 / 2**20)
    small.load_state_dict(full.state_dict())
    refs = make_refs(4)
    pairs = [(0, 1), (2, 3), (0, 2), (0, 1), (3, 1)]
    results = []
    for model in (full, small):
        found = [model.test_step(batch([pair], refs))[0] for pair in pairs]
        results.append(torch.stack([f.pred_points for f in found]))
        assert len(model.cache) <= (2 if model is small else 4)
    assert results[0].equal(results[1])
    assert full.cache.num_repeats == 0
    assert small.cache.num_repeats > 0


def test_the_batch_does_not_change_the_features(make_matcher, make_refs):
    model, single = make_matcher(), make_matcher(batch_size=1)
    single.load_state_dict(model.state_dict())
    refs = make_refs(3) + make_refs(1, scale=(96, 64))
    for one, other in zip(
        model.extract(refs), single.extract(refs), strict=True
    ):
        assert one.grid == other.grid
        torch.testing.assert_close(one.tokens, other.tokens)


def test_kept_features_do_not_hold_their_batch(make_matcher, make_refs):
    for each in make_matcher().extract(make_refs(3)):
        storage = each.tokens.untyped_storage().nbytes()
        assert storage == each.tokens.nbytes


def test_features_are_forgotten_with_the_mode(make_matcher, make_refs):
    """A test sets the mode first; weights may have changed before."""
    model = make_matcher()
    refs = make_refs(1)
    (before,) = model.extract(refs)
    for parameter in model.parameters():
        parameter.data.mul_(0.5)
    model.eval()
    (after,) = model.extract(refs)
    assert not after.tokens.allclose(before.tokens)


def test_tokens_are_float32_under_autocast(make_matcher, make_refs):
    model = make_matcher()
    refs = make_refs(2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        (sample,) = model.test_step(batch([(0, 1)], refs))
        (each, _) = model.extract(refs)
    assert each.tokens.dtype == torch.float32
    assert sample.pred_scores.dtype == torch.float32


def test_any_backbone_that_gives_a_map(make_refs):
    class Colours(nn.Module):
        def forward(self, inputs):
            return (nn.functional.avg_pool2d(inputs, 8),)

    model = KeypointMatcher(
        Colours(), data_preprocessor=dict(mean=[0] * 3, std=[1] * 3)
    ).eval()
    refs = make_refs(2)
    (sample,) = model.test_step(batch([(0, 1)], refs))
    assert sample.grid == (8, 8)
    with pytest.raises(ValueError, match='layer must be None for a Colours'):
        KeypointMatcher(Colours(), layer=1)


def test_a_backbone_without_a_map(make_refs):
    model = KeypointMatcher(nn.Flatten()).eval()
    with pytest.raises(ValueError, match='Flatten must give a feature map'):
        model.extract(make_refs(1))


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(readout='best'), "readout must be one of .*got 'best'"),
        (dict(mutual_radius=0), 'mutual_radius must be positive or None'),
        (dict(batch_size=0), 'batch_size must be >= 1, got 0'),
    ],
)
def test_bad_arguments(make_matcher, options, message):
    with pytest.raises(ValueError, match=message):
        make_matcher(**options)


def test_nothing_is_trained(make_matcher, make_refs):
    data = batch([(0, 0)], make_refs(1))
    with pytest.raises(ValueError, match="mode must be 'predict'"):
        make_matcher()(**data, mode='loss')


def test_an_image_of_another_size_than_annotated(make_refs, make_matcher):
    (ref,) = make_refs(1, (90, 60))
    ref = replace(ref, size=(60, 90), annotation='pairs.json')
    with pytest.raises(
        ValueError, match=r"0.png' has 90 x 60 pixels, but 60 x 90 in 'pairs"
    ):
        make_matcher().extract([ref])
