"""Ablation: LORE without L_kp and KLA, on ViT-S/14, the textile set.

    python tools/train.py configs/ablation/vit-s_textile_no-kp.py

All else is as in ``configs/lore/vit-s_textile.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.08 M of 24.1 M weights (3 classes).
Figures: top-1 94.4 % with 100 images of a class, 4 epochs (docs/results.md).
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/lore_extended.py',
    '../_base_/datasets/textile.py',
    '../_base_/schedules/lore_gentle.py',
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
