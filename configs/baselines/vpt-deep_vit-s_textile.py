"""VPT-deep on ViT-S/14 (DINOv2), the textile set.

    python tools/train.py configs/baselines/vpt-deep_vit-s_textile.py

Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 47.2 k of 22.1 M weights (3 classes).
Figures: top-1 97.0 % with 100 images of a class, 16 epochs (docs/results.md).
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/vpt-deep.py',
    '../_base_/datasets/textile.py',
    '../_base_/schedules/vpt.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    head=dict(in_channels=_base_.out_dims),
)
