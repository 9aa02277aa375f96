"""Segmentation by training, LORE on ViT-S/14 (DINOv2), your own masks.

    SEG_ROOT=masks python tools/train.py configs/segmentation/vit-s_folder.py

Only White Box, neck and head are trained. To start from the White Box of a
classifier: ``--cfg-options load_from=CHECKPOINT``. Without the constraint:
``--cfg-options model.constraint=None model.neck=None``.
Cost: trains 2.62 M of 24.7 M weights (2 classes).
Figures: not run here.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/segmentor.py',
    '../_base_/datasets/segmentation_folder.py',
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
    test_cfg=dict(size_divisor=14),  # the patch
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
