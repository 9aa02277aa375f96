"""CLIP-Adapter on CLIP ViT-B/32, CUB-200-2011.

    python tools/train.py configs/baselines/clip-adapter_clip-b32_cub.py

Cost: trains 131 k of 88 M weights (200 classes).
Figures: not run here, the weights are on a model hub.
"""

_base_ = [
    '../_base_/black_boxes/clip-b32.py',
    '../_base_/models/clip-adapter.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/clip-adapter.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    head=dict(
        in_channels=_base_.out_dims,
        knowledge=_base_.knowledge,
        templates=_base_.template,
    ),
)
