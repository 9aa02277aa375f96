import pytest
import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample

from lore_mm.models import LOREFeatures, LOREHead, PrototypeConstraintLoss
from lore_mm.registry import MODELS

DIMS, LATENT, CLASSES, BATCH = 5, 4, 3, 6
KP = dict(type='lore_mm.PrototypeConstraintLoss')
TARGET = torch.tensor([0, 1, 2, 0, 1, 2])
BLACK_BOX = torch.tensor([0, 2, 2, 1, 1, 0])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def samples():
    return [
        DataSample(metainfo=dict(negative_label=int(p))).set_gt_label(int(t))
        for t, p in zip(TARGET, BLACK_BOX, strict=True)
    ]


@pytest.fixture
def features():
    return LOREFeatures(
        torch.randn(BATCH, DIMS),
        latent=torch.randn(BATCH, LATENT),
        prototypes=torch.randn(BATCH, CLASSES, LATENT),
    )


def make(**kwargs):
    return LOREHead(CLASSES, DIMS, **kwargs)


# -- logits --------------------------------------------------------------
@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_other_precisions(features, dtype):
    head = make().to(dtype)
    assert head((features.cls_token.to(dtype),)).dtype == dtype


def test_width_of_the_cls_token(features):
    head = LOREHead(CLASSES, DIMS + 1)
    with pytest.raises(ValueError, match=f'set in_channels={DIMS}'):
        head(features)


@pytest.mark.parametrize('scale', [100.0, 16.0])
def test_logits(features, scale):
    head = make(scale=scale)
    cls_token = features.cls_token
    length = cls_token.square().sum(-1, keepdim=True).sqrt()
    expected = scale * cls_token / length @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head(features), expected)
    torch.testing.assert_close(head((cls_token,)), expected)


def test_length_of_the_token_does_not_matter(features):
    head = make()
    longer = features._replace(cls_token=7 * features.cls_token)
    torch.testing.assert_close(head(longer), head(features))


def test_local_channels_read_pooled_tokens_beside_the_cls_token(features):
    head = make(scale=16.0, local_channels=6)
    assert head.fc.weight.shape == (CLASSES, DIMS + 6)
    pooled = torch.randn(BATCH, 6)
    read = head.pre_logits(features._replace(pooled=7 * pooled))
    half = 16.0 / 2**0.5
    cls_token = half * F.normalize(features.cls_token, dim=-1)
    torch.testing.assert_close(read[:, :DIMS], cls_token)
    torch.testing.assert_close(
        read[:, DIMS:], half * F.normalize(pooled, dim=-1)
    )


@pytest.mark.parametrize('pooled', [None, torch.randn(BATCH, 3)])
def test_local_channels_that_are_not_there(features, pooled):
    head = make(local_channels=6)
    with pytest.raises(ValueError, match='local_channels is 6, but .* pool'):
        head(features._replace(pooled=pooled))
    with pytest.raises(ValueError, match='have 0 channels'):
        head((features.cls_token,))


def test_default_scale_is_that_of_clip():
    assert make().scale == 100.0


def test_computes_in_float32(features):
    rounded = features._replace(cls_token=features.cls_token.bfloat16())
    assert make()(rounded).dtype == torch.float32


# -- losses --------------------------------------------------------------
@pytest.mark.parametrize('source', ['black_box', 'current'])
def test_both_losses(features, samples, source):
    head = make(constraint=KP, negative_source=source)
    losses = head.loss(features, samples)
    assert set(losses) == {'loss_cls', 'loss_kp'}
    logits = head(features)
    torch.testing.assert_close(
        losses['loss_cls'], F.cross_entropy(logits, TARGET)
    )
    current = logits.argmax(-1)
    assert current.tolist() != BLACK_BOX.tolist()
    predicted = BLACK_BOX if source == 'black_box' else current
    expected = PrototypeConstraintLoss()(
        features.latent, features.prototypes, TARGET, predicted
    )
    torch.testing.assert_close(losses['loss_kp'], expected)


def test_no_loss_without_name(features, samples):
    """mmengine would log a bare `loss` in place of the sum."""
    head = make(constraint=KP, cal_acc=True)
    losses = head.loss(features, samples)
    assert [key for key in losses if 'loss' in key] == ['loss_cls', 'loss_kp']
    assert 'accuracy_top-1' in losses


@pytest.mark.parametrize('prototypes', [True, False])
def test_task_loss_alone(features, samples, prototypes):
    if not prototypes:
        features = features._replace(prototypes=None)
    losses = make(constraint=None).loss(features, samples)
    assert set(losses) == {'loss_cls'}
    tuple_losses = make().loss((features.cls_token,), samples)
    assert set(tuple_losses) == {'loss_cls'}


def test_constraint_without_prototypes(features, samples):
    head = make(constraint=KP)
    with pytest.raises(ValueError, match='the constraint needs prototypes'):
        head.loss(features._replace(prototypes=None), samples)


def test_bare_black_box_has_nothing_to_constrain(features, samples):
    bare = LOREFeatures(features.cls_token)
    assert set(make(constraint=KP).loss(bare, samples)) == {'loss_cls'}


def test_constraint_without_a_latent(features, samples):
    """A tuple is what a backbone of another out_type gives."""
    with pytest.raises(ValueError, match="got tuple; set out_type='lore'"):
        make(constraint=KP).loss((features.cls_token,), samples)


def test_mixed_labels(features, samples):
    """Those of Mixup and CutMix, which leave the old label beside them."""
    shares = torch.rand(BATCH, CLASSES).softmax(-1)
    for sample, share in zip(samples, shares, strict=True):
        sample.set_gt_score(share)
    head = make(constraint=KP)
    losses = head.loss(features, samples)
    torch.testing.assert_close(
        losses['loss_cls'], F.cross_entropy(head(features), shares)
    )
    expected = PrototypeConstraintLoss()(
        features.latent, features.prototypes, shares, BLACK_BOX
    )
    torch.testing.assert_close(losses['loss_kp'], expected)


def test_missing_negative_label(features, samples):
    head = make(constraint=KP)
    samples[3] = DataSample().set_gt_label(0)
    with pytest.raises(ValueError, match='needs a negative_label in each'):
        head.loss(features, samples)
    head.negative_source = 'current'
    head.loss(features, samples)


def test_no_negative_label_needed_without_constraint(features):
    samples = [DataSample().set_gt_label(int(t)) for t in TARGET]
    make().loss(features, samples)


def test_own_task_loss(features, samples):
    loss = dict(
        type='mmpretrain.LabelSmoothLoss',
        label_smooth_val=0.2,
        mode='original',
    )
    head = make(loss=loss)
    expected = F.cross_entropy(head(features), TARGET, label_smoothing=0.2)
    torch.testing.assert_close(
        head.loss(features, samples)['loss_cls'], expected
    )


def test_current_prediction_carries_no_gradient(features, samples):
    head = make(constraint=KP, negative_source='current')
    losses = head.loss(features, samples)
    assert not losses['loss_kp'].requires_grad
    losses['loss_cls'].backward()
    assert head.fc.weight.grad.any()


# -- prediction ----------------------------------------------------------
def test_predictions_are_data_samples_of_mmpretrain(features, samples):
    head = make().eval()
    out = head.predict(features, samples)
    scores = head(features).softmax(-1)
    for sample, given, score in zip(out, samples, scores, strict=True):
        assert isinstance(sample, DataSample)
        assert sample is given
        torch.testing.assert_close(sample.pred_score, score)
        assert sample.pred_label.tolist() == [int(score.argmax())]
    assert len(head.predict(features)) == BATCH


def test_prediction_needs_the_cls_token_alone(features):
    head = make(constraint=KP).eval()
    out = head.predict(LOREFeatures(features.cls_token))
    expected = head.predict(features)
    for sample, other in zip(out, expected, strict=True):
        assert torch.equal(sample.pred_score, other.pred_score)


# -- building ------------------------------------------------------------
def test_built_from_config_with_small_weights():
    head = MODELS.build(
        dict(
            type='lore_mm.LOREHead',
            num_classes=100,
            in_channels=64,
            constraint=dict(KP, negative_weight=0.3),
        )
    )
    head.init_weights()
    assert head.fc.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not head.fc.bias.any()
    assert head.constraint.negative_weight == 0.3


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(num_classes=0), 'num_classes must be at least 1, got 0'),
        (
            dict(negative_source='teacher'),
            "negative_source must be one of .* got 'teacher'",
        ),
    ],
)
def test_constructor_errors(kwargs, match):
    with pytest.raises(ValueError, match=match):
        LOREHead(**{'num_classes': 3, 'in_channels': DIMS, **kwargs})


def test_logits_are_not_rounded_in_mixed_precision(features):
    head = make()
    with torch.autocast('cpu', torch.bfloat16):
        logits = head(features)
    torch.testing.assert_close(logits, head(features), rtol=0, atol=0)
