"""Ablation: LORE without L_kp and KLA, on ViT-S/14, CUB-200-2011.

    python tools/train.py configs/ablation/vit-s_cub_no-kp.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.31 M of 24.4 M weights (200 classes).
Figures: top-1 76.4 % on 13 classes at 126 px, all images (docs/results.md).
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
    neck=None,
    head=dict(
        in_channels=_base_.out_dims,
        local_channels=_base_.pooled_dims,
        constraint=None,
    ),
)
