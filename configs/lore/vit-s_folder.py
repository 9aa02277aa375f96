"""LORE `extended` on ViT-S/14 (DINOv2), your own images.

    export FOLDER_ROOT=images
    python tools/train.py configs/lore/vit-s_folder.py

Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.53 M of 24.6 M weights (2 classes).
Figures: not run here.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/lore_extended.py',
    '../_base_/datasets/folder.py',
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
