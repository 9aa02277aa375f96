"""mmseg's EncoderDecoder with a White Box and its constraint."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample

from lore_mm.models import (
    LORESegmentor,
    MaskPrototypeLoss,
    PrototypeConstraintLoss,
)
from lore_mm.models.segmentors.mask_prototype_loss import class_shares
from lore_mm.registry import MODELS
from lore_mm.utils import SetupError

CLASSES = ('sky', 'swan', 'water')
WHITE_BOX = dict(type='lore_mm.WhiteBox', preset='extended', drop_rate=0.0)
NECK = dict(
    type='lore_mm.KnowledgeLocalityNeck',
    num_classes=3,
    embed_dims=64,
    text_dims=16,
    knowledge=dict(type='lore_mm.RandomTextEncoder', embed_dims=16),
)


class OwnLossHead(FCNHead):
    def loss(self, *args):
        raise NotImplementedError


@pytest.fixture
def make_segmentor(tiny_backbone):
    def make(white_box=WHITE_BOX, **options) -> LORESegmentor:
        config = dict(
            type='lore_mm.LORESegmentor',
            backbone=tiny_backbone(white_box),
            neck=NECK,
            constraint=dict(type='lore_mm.MaskPrototypeLoss'),
            decode_head=dict(
                type='FCNHead',
                in_channels=64,
                in_index=0,
                channels=8,
                num_convs=1,
                kernel_size=1,
                concat_input=False,
                dropout_ratio=0.0,
                num_classes=3,
                norm_cfg=dict(type='BN'),
                loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
            ),
        )
        with DefaultScope.overwrite_default_scope('mmseg'):
            torch.manual_seed(0)
            model = MODELS.build({**config, **options})
        if getattr(model, 'neck', None) is not None:
            model.neck.set_classes(CLASSES)
        return model.train()

    return make


def batch() -> tuple[torch.Tensor, list[SegDataSample]]:
    rng = torch.Generator().manual_seed(0)
    masks = torch.zeros(2, 1, 64, 96, dtype=torch.long)
    masks[0, :, 30:], masks[1, :, :, :20] = 1, 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=m)) for m in masks]
    return torch.rand(2, 3, 64, 96, generator=rng), samples


def test_constraint_adds_a_loss_and_trains_the_neck(make_segmentor):
    model = make_segmentor()
    losses = model(*batch(), mode='loss')
    assert set(losses) == {
        'decode.loss_ce',
        'decode.acc_seg',
        'loss_kp',
    }
    total, _ = model.parse_losses(losses)
    total.backward()
    assert model.neck.attention.key.weight.grad.abs().sum() > 0
    grads = [
        p.grad
        for p in model.backbone.white_box.parameters()
        if p.grad is not None
    ]
    assert sum(grad.abs().sum() for grad in grads) > 0
    black_box = model.backbone.black_box
    assert all(p.grad is None for p in black_box.parameters())


def test_classes_that_were_never_set(make_segmentor):
    model = make_segmentor()
    model.neck.class_embeddings.zero_()
    with pytest.raises(SetupError, match='class embeddings are not set'):
        model(*batch(), mode='loss')


@pytest.mark.parametrize(
    'options',
    [dict(constraint=None, neck=None), dict(white_box=None)],
    ids=['without constraint', 'bare Black Box'],
)
def test_without_constraint_it_is_the_stock_segmentor(make_segmentor, options):
    model = make_segmentor(**options)
    losses = model(*batch(), mode='loss')
    assert set(losses) == {'decode.loss_ce', 'decode.acc_seg'}
    assert losses['decode.loss_ce'].equal(
        EncoderDecoder.loss(model, *batch())['decode.loss_ce']
    )


def test_constraint_leaves_the_task_loss_alone(make_segmentor):
    with_it, without = make_segmentor(), make_segmentor(constraint=None)
    without.load_state_dict(with_it.state_dict())
    losses = [m(*batch(), mode='loss') for m in (with_it, without)]
    torch.testing.assert_close(
        losses[0]['decode.loss_ce'], losses[1]['decode.loss_ce']
    )


def test_nothing_stays_hooked(make_segmentor):
    model = make_segmentor()
    model(*batch(), mode='loss')
    white_box = model.backbone.white_box
    assert not white_box._forward_hooks
    assert not white_box._forward_pre_hooks


def test_prediction_has_the_size_of_the_image(make_segmentor):
    model = make_segmentor(test_cfg=ConfigDict(mode='whole')).eval()
    with torch.no_grad():
        (found,) = model(torch.rand(1, 3, 64, 96), mode='predict')
    assert found.pred_sem_seg.data.shape == (1, 64, 96)


def test_what_is_refused(make_segmentor):
    with pytest.raises(ValueError, match='the constraint needs prototypes'):
        make_segmentor(neck=None)
    head = dict(type=OwnLossHead, in_channels=64, channels=8, num_classes=3)
    with pytest.raises(ValueError, match='got OwnLossHead; take another'):
        make_segmentor(decode_head=head)


# -- the loss ------------------------------------------------------------
def test_one_class_per_image_is_the_loss_of_the_paper():
    rng = torch.Generator().manual_seed(0)
    latent = torch.randn(4, 8, generator=rng)
    prototypes = torch.randn(4, 5, 8, generator=rng)
    target = torch.tensor([0, 1, 2, 3])
    predicted = torch.tensor([0, 2, 2, 4])
    expected = PrototypeConstraintLoss(0.3, 0.2)(
        latent, prototypes, target, predicted
    )
    maps = [x[:, None, None].expand(4, 6, 6) for x in (target, predicted)]
    found = MaskPrototypeLoss(0.3, 0.2)(latent, prototypes, *maps)
    torch.testing.assert_close(found, expected)


def test_terms_are_means_over_classes():
    latent = torch.tensor([[1.0, 0.0]])
    prototypes = torch.tensor([[[1.0, 0], [-1, 0], [0, 1], [1, 1]]])
    target = torch.tensor([[[0, 0, 1, 255]]])
    predicted = torch.tensor([[[0, 2, 3, 3]]])
    loss = MaskPrototypeLoss(1.0, 0.0)(latent, prototypes, target, predicted)
    assert loss == pytest.approx(0, abs=1e-6)  # cosines 1 and -1
    loss = MaskPrototypeLoss(0.0, 1.0)(latent, prototypes, target, predicted)
    assert loss == pytest.approx((0 + 0.5**0.5) / 2)


def test_small_predictions_do_not_count():
    latent, prototypes = torch.ones(1, 2), torch.ones(1, 2, 2)
    predicted = torch.zeros(1, 10, 10, dtype=torch.long)
    target = predicted.clone()
    predicted[0, 0, :4] = 1
    arguments = latent, prototypes, target, predicted
    assert MaskPrototypeLoss(0, 1, min_share=0.05)(*arguments) == 0
    loss = MaskPrototypeLoss(0, 1, min_share=0.04)(*arguments)
    assert loss == pytest.approx(1)
    with pytest.raises(ValueError, match='min_share must be in'):
        MaskPrototypeLoss(min_share=2)


def test_image_that_is_all_void():
    shares = class_shares(torch.full((1, 3, 3), 255), 4)
    assert shares.tolist() == [[0] * 4]
    loss = MaskPrototypeLoss()(
        torch.ones(1, 2),
        torch.ones(1, 4, 2),
        torch.full((1, 3, 3), 255),
        torch.full((1, 3, 3), 255),
    )
    assert loss == 0
