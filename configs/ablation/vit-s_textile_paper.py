"""Ablation: LORE as the paper prints it, on ViT-S/14, the textile set.

    python tools/train.py configs/ablation/vit-s_textile_paper.py

Data and schedule are as in ``configs/lore/vit-s_textile.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 1.2 M of 23.3 M weights (3 classes).
Figures: top-1 66.7 % with 100 images of a class, 4 epochs (docs/results.md).
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/lore.py',
    '../_base_/datasets/textile.py',
    '../_base_/schedules/lore_gentle.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box, white_box=dict(preset='paper')),
    neck=dict(
        embed_dims=_base_.embed_dims,
        text_dims=_base_.text_dims,
        knowledge=_base_.knowledge,
        templates=_base_.template,
        preset='paper',
    ),
    head=dict(in_channels=_base_.out_dims),
)
