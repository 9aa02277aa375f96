"""Ablation: the released White Box, on ViT-S/14, the textile set.

    python tools/train.py configs/ablation/vit-s_textile_released.py

Data and schedule are as in ``configs/lore/vit-s_textile.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.62 M of 24.7 M weights (3 classes).
Figures: top-1 70.8 % with 100 images of a class (docs/results.md).
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/lore.py',
    '../_base_/datasets/textile.py',
    '../_base_/schedules/lore_gentle.py',
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
    head=dict(in_channels=_base_.out_dims),
)
