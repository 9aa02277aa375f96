"""Segmentation by training, LORE on CLIP ViT-B/16, ADE20K.

    python tools/train.py configs/segmentation/clip-b16_ade20k.py

Folder: ``ADE_ROOT``. ``load_from=CHECKPOINT`` starts from a classifier's White
Box; ``model.constraint=None model.neck=None`` leaves the constraint out.
Cost: trains 9.12 M of 95.3 M weights (150 classes). Figures: none yet.
"""

_base_ = [
    '../_base_/black_boxes/clip-b16.py',
    '../_base_/models/segmentor.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/segmentation.py',
    '../_base_/mmseg_runtime.py',
]
data_preprocessor = dict(
    _delete_=True,
    type='SegDataPreProcessor',
    mean=_base_.data_preprocessor.mean,
    std=_base_.data_preprocessor.std,
    bgr_to_rgb=False,
    pad_val=0,
    seg_pad_val=255,
    size=(_base_.crop_size, _base_.crop_size),
    test_cfg=dict(size_divisor=16),  # the patch
)
model = dict(
    backbone=dict(black_box=_base_.black_box),
    neck=dict(
        embed_dims=_base_.embed_dims,
        text_dims=_base_.text_dims,
        knowledge=_base_.knowledge,
        templates=_base_.template,
    ),
    decode_head=dict(in_channels=_base_.embed_dims),
)
val_cfg = None  # the official one is the test
default_hooks = dict(checkpoint=dict(save_best=None))
