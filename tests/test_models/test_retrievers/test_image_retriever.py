"""Descriptors of images of any size."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lore_mm.models import ImageRetriever, LOREViT
from lore_mm.models.retrievers import fit_size
from lore_mm.models.retrievers.fast_linear import (
    OneDNNLinear,
    has_one_dnn_linear,
)
from lore_mm.registry import MODELS

BOX = dict(type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=64)
SHAPES = [(64, 48), (48, 64), (64, 48), (70, 50), (33, 64), (64, 48)]


def build(white_box=None, **kwargs):
    torch.manual_seed(0)
    backbone = dict(type='lore_mm.LOREViT', black_box=BOX, white_box=white_box)
    return ImageRetriever(backbone, **kwargs).eval()


def images(shapes=SHAPES):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(3, *shape, generator=generator) for shape in shapes]


WHITE_BOX = dict(type='lore_mm.WhiteBox', preset='released')


@pytest.mark.parametrize('white_box', [None, WHITE_BOX])
@pytest.mark.parametrize('pooling', ['cls', 'mean', 'gem'])
@torch.no_grad()
def test_mixed_sizes_equal_one_by_one(pooling, white_box):
    head = dict(type='lore_mm.RetrievalHead', pooling=pooling)
    model = build(white_box, head=head, scales=(1.0, 2**-0.5, 0.5))
    together = model(images())
    alone = torch.cat([model([img]) for img in images()])
    assert together.shape == (len(SHAPES), 64)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(len(SHAPES)))
    # and the images do not all look the same
    assert (together[0] - together[1]).abs().max() > 1e-3


@torch.no_grad()
def test_like_sizes_share_a_forward(monkeypatch):
    model = build()
    seen = []
    forward = LOREViT.forward

    def spy(self, img):
        seen.append(tuple(img.shape))
        return forward(self, img)

    monkeypatch.setattr(LOREViT, 'forward', spy)
    model(images())
    # 70 x 50 is cropped to 64 x 48, 33 x 64 to 32 x 64
    assert sorted(seen) == [
        (1, 3, 32, 64),
        (1, 3, 48, 64),
        (4, 3, 64, 48),
    ]


@torch.no_grad()
def test_cls_of_the_bare_black_box():
    model = build()
    img = torch.stack(images([(64, 48)] * 2))
    expected = functional.normalize(model.backbone.black_box(img)[:, 0])
    torch.testing.assert_close(model(img), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('normalize', [False, True])
@torch.no_grad()
def test_scales_by_hand(normalize):
    model = build(scales=(1.0, 0.5), normalize_scales=normalize)
    (img,) = images([(64, 80)])
    half = functional.interpolate(
        img[None], scale_factor=0.5, mode='bilinear', align_corners=False
    )
    # 32 x 40: eight columns fill no patch
    parts = [img[None], half[..., :32]]
    tokens = [model.backbone.black_box(part)[:, 0] for part in parts]
    if normalize:
        tokens = [functional.normalize(token) for token in tokens]
    expected = functional.normalize(sum(tokens))
    torch.testing.assert_close(model([img]), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_tiny_image_at_a_small_scale():
    model = build(scales=(1.0, 0.01))
    assert model(images([(3, 40)])).isfinite().all()


@pytest.mark.parametrize(
    'fit,shape,expected',
    [
        ('crop', (33, 47), (32, 32)),
        ('resize', (33, 41), (32, 48)),
        ('pad', (33, 47), (48, 48)),
        ('crop', (5, 47), (16, 32)),
        ('resize', (5, 5), (16, 16)),
        ('pad', (32, 16), (32, 16)),
    ],
)
def test_fit(fit, shape, expected):
    img = torch.rand(3, *shape)
    out = fit_size(img, 16, fit)
    assert out.shape == (3, *expected)
    if fit == 'crop' and min(shape) >= 16:
        assert out.equal(img[:, : expected[0], : expected[1]])
    if fit == 'pad':
        assert out[:, : shape[0], : shape[1]].equal(img)
        assert out.sum() == pytest.approx(img.sum().item())


class Pyramid(nn.Module):
    """A stock backbone: feature maps, any size."""

    def forward(self, img):
        return (functional.avg_pool2d(img, 4),)


def test_any_backbone():
    head = MODELS.build(dict(type='lore_mm.RetrievalHead', pooling='mean'))
    model = ImageRetriever(Pyramid(), head)
    assert model.size_divisor == 1
    (img,) = images([(8, 12)])
    expected = functional.normalize(img.mean(dim=(1, 2))[None])
    torch.testing.assert_close(model([img]), expected)
    with pytest.raises(ValueError, match="'cls' needs features with 2 axes"):
        ImageRetriever(Pyramid())([img])


@torch.no_grad()
def test_predict_fills_data_samples():
    kind = 'lore_mm.MixedSizePreprocessor'
    model = build(
        data_preprocessor=dict(type=kind, mean=[10.0] * 3, std=[2.0] * 3)
    )
    raw = [(img * 2 + 10) for img in images()]
    out = model.forward(**model.data_preprocessor(dict(inputs=raw)))
    torch.testing.assert_close(out, model(images()), rtol=0, atol=1e-4)
    samples = model.test_step(dict(inputs=raw, data_samples=None))
    assert [len(sample.descriptor) for sample in samples] == [64] * len(raw)


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(scales=()), r'scales must be positive .* got \(\)'),
        (dict(scales=(1, 0)), r'scales must be positive .* got \(1, 0\)'),
        (dict(fit='stretch'), "'pad'.* got 'stretch'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_there_is_nothing_to_train():
    with pytest.raises(ValueError, match='nothing to train'):
        build()(images(), mode='loss')


def test_choices_are_shown():
    shown = repr(build(scales=(1, 0.5), fit='pad'))
    assert "scales=(1.0, 0.5), normalize_scales=False, fit='pad'" in shown


# -- oneDNN ---------------------------------------------------------------
needs_one_dnn = pytest.mark.skipif(
    not has_one_dnn_linear(), reason='this PyTorch has no oneDNN linear'
)


@needs_one_dnn
@torch.no_grad()
def test_one_dnn_gives_the_same_descriptors():
    fast, plain = build(WHITE_BOX), build(WHITE_BOX, fast_linear=False)
    torch.testing.assert_close(
        fast(images()), plain(images()), rtol=0, atol=1e-5
    )


@needs_one_dnn
@pytest.mark.parametrize('bias', [True, False])
def test_one_dnn_only_where_it_fits(monkeypatch, bias):
    used = []
    op = torch.ops.mkldnn._linear_pointwise

    def spy(*args):
        used.append(args)
        return op(*args)

    monkeypatch.setattr(torch.ops.mkldnn, '_linear_pointwise', spy)
    linear, x = nn.Linear(8, 4, bias=bias), torch.rand(2, 3, 8)
    expected = linear(x)
    with OneDNNLinear():
        with torch.no_grad():
            torch.testing.assert_close(linear(x), expected)
        assert len(used) == 1
        linear(x).sum().backward()  # with gradients
        assert linear.weight.grad is not None
        with torch.no_grad():
            linear(torch.rand(0, 8))
            with torch.autocast('cpu', torch.bfloat16):
                assert linear(x).dtype == torch.bfloat16
            linear.double()(x.double())
    assert len(used) == 1
