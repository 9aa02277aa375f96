"""Stock heads of mmpretrain and mmseg train on LOREViT."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmpretrain.registry import MODELS as MMPRETRAIN
from mmpretrain.structures import DataSample
from mmseg.registry import MODELS as MMSEG
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules

import lore_mm  # noqa: F401  (registers LOREViT)

SIDE, CLASSES, STEPS = 64, 3, 20
NORMALISE = dict(mean=[127.5] * 3, std=[127.5] * 3)


def backbone(out_type, preset):
    return dict(
        type='lore_mm.LOREViT',
        black_box=dict(
            type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=SIDE
        ),
        # With gains that start at 0 the LIN would need more steps than this.
        white_box=dict(
            type='lore_mm.WhiteBox', preset=preset, lin_gain_init=1.0
        ),
        out_type=out_type,
    )


def paint(label):
    """A noisy image (3, H, W) whose brightness is its label (H, W)."""
    noise = torch.randint(40, (3, SIDE, SIDE))
    return (80 * label + noise).to(torch.uint8)


def train(model, data):
    """Losses of some steps on one batch; what changed, by name."""
    model.init_weights()
    model.train()
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    wrapper = OptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    )
    losses = [model.train_step(data, wrapper)['loss'].item()]
    for _ in range(STEPS):
        losses.append(model.train_step(data, wrapper)['loss'].item())
    changed = {
        name
        for name, value in model.named_parameters()
        if not torch.equal(value, before[name])
    }
    return losses, changed


def check(model, losses, changed):
    assert losses[-1] < 0.8 * losses[0]
    assert all(not name.startswith('backbone.black_box') for name in changed)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert changed == trained
    assert any(name.startswith('backbone.white_box') for name in changed)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize('preset', ['released', 'paper', 'extended'])
def test_linear_head_of_mmpretrain(preset):
    cfg = dict(
        type='ImageClassifier',
        data_preprocessor=dict(type='ClsDataPreprocessor', **NORMALISE),
        backbone=backbone('cls_token', preset),
        head=dict(type='LinearClsHead', num_classes=CLASSES, in_channels=SIDE),
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MMPRETRAIN.build(cfg)
    labels = [i % CLASSES for i in range(6)]
    data = dict(
        inputs=[paint(torch.full((SIDE, SIDE), label)) for label in labels],
        data_samples=[DataSample().set_gt_label(label) for label in labels],
    )
    check(model, *train(model, data))
    out = model.val_step(data)
    assert [len(sample.pred_score) for sample in out] == [CLASSES] * 6


@pytest.mark.parametrize('preset', ['released', 'paper', 'extended'])
def test_fcn_head_of_mmseg(preset):
    register_all_modules(init_default_scope=False)
    cfg = ConfigDict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor', size=(SIDE, SIDE), **NORMALISE
        ),
        backbone=backbone('featmap', preset),
        decode_head=dict(
            type='FCNHead',
            in_channels=64,
            channels=16,
            num_convs=1,
            num_classes=CLASSES,
            dropout_ratio=0.0,
            norm_cfg=dict(type='BN'),
            align_corners=False,
        ),
        test_cfg=dict(mode='whole'),
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MMSEG.build(cfg)
        data = dict(inputs=[], data_samples=[])
        for shift in range(4):
            label = torch.arange(SIDE) // 16 + shift
            label = (label % CLASSES).expand(SIDE, SIDE)
            sample = SegDataSample(
                metainfo=dict(img_shape=(SIDE, SIDE), ori_shape=(SIDE, SIDE))
            )
            sample.gt_sem_seg = PixelData(data=label[None])
            data['inputs'].append(paint(label))
            data['data_samples'].append(sample)
        check(model, *train(model, data))
        out = model.val_step(data)
    assert out[0].pred_sem_seg.data.shape == (1, SIDE, SIDE)
