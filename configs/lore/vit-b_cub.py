"""LORE `extended` on ViT-B/16 (AugReg), CUB-200-2011.

    python tools/train.py configs/lore/vit-b_cub.py

Cost: trains 9.34 M of 95.1 M weights (200 classes).
Figures: not run here, the weights are on a model hub.
"""

_base_ = [
    '../_base_/black_boxes/vit-b16_augreg.py',
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
