"""LORE by the published recipe on ViT-S/14 (DINOv2), CUB-200-2011.

    python tools/train.py configs/lore/vit-s_cub_published.py

Recipe, head scale and loss are the published ones. The data is not among the
published sets, and validation images, which are held out of the training
split, choose the checkpoint.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.7 M of 24.8 M weights (200 classes).
Figures: not run here.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/lore.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/published.py',
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
    head=dict(in_channels=_base_.out_dims, scale=100.0),
)
