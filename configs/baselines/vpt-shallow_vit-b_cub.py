"""VPT-shallow on ViT-B/16 (AugReg), CUB-200-2011.

    python tools/train.py configs/baselines/vpt-shallow_vit-b_cub.py

Cost: trains 161 k of 86 M weights (200 classes).
Figures: not run here, the weights are on a model hub.
"""

_base_ = [
    '../_base_/black_boxes/vit-b16_augreg.py',
    '../_base_/models/vpt-shallow.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/vpt.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    head=dict(in_channels=_base_.out_dims),
)
