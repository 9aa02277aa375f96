"""VPT-deep on ViT-S/14 (DINOv2), CUB-200-2011.

    python tools/train.py configs/baselines/vpt-deep_vit-s_cub.py

Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 123 k of 22.2 M weights (200 classes).
Figures: top-1 73.5 % on 13 classes at 126 px, all images (docs/results.md).
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/vpt-deep.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/vpt.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    head=dict(in_channels=_base_.out_dims),
)
