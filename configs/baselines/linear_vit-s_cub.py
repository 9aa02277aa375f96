"""Linear probe on ViT-S/14 (DINOv2), CUB-200-2011.

    python tools/train.py configs/baselines/linear_vit-s_cub.py

Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 77 k of 22.1 M weights (200 classes).
Figures: top-1 68.9 % on 13 classes at 126 px, all images (docs/results.md).
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/linear.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/linear.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    head=dict(in_channels=_base_.out_dims),
)
