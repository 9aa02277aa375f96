"""LORE `extended` on ViT-S/14 (DINOv2), CUB-200-2011.

    python tools/train.py configs/lore/vit-s_cub.py

Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.75 M of 24.8 M weights (200 classes).
Figures: top-1 76.1 % on 13 classes at 126 px, all images (docs/results.md).
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/lore_extended.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/lore.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    neck=dict(
        embed_dims=_base_.embed_dims,
        text_dims=_base_.text_dims,
        knowledge=_base_.knowledge,
        templates=_base_.template,
    ),
    head=dict(in_channels=_base_.out_dims, local_channels=_base_.pooled_dims),
)
