"""LORE `extended` on CLIP ViT-B/32, CUB-200-2011.

    python tools/train.py configs/lore/clip-b32_cub.py

Cost: trains 9.29 M of 97.1 M weights (200 classes).
Figures: not run here, the weights are on a model hub.
"""

_base_ = [
    '../_base_/black_boxes/clip-b32.py',
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
