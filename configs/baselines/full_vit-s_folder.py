"""Full fine-tuning of ViT-S/14 (DINOv2), your own images.

    export FOLDER_ROOT=images
    python tools/train.py configs/baselines/full_vit-s_folder.py

Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains all 22.1 M weights (2 classes).
Figures: not run here.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/full.py',
    '../_base_/datasets/folder.py',
    '../_base_/schedules/full.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    head=dict(in_channels=_base_.out_dims),
)
