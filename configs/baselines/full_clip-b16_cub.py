"""Full fine-tuning of CLIP ViT-B/16, CUB-200-2011.

    python tools/train.py configs/baselines/full_clip-b16_cub.py

Cost: trains all 86.3 M weights (200 classes).
Figures: not run here, the weights are on a model hub.
"""

_base_ = [
    '../_base_/black_boxes/clip-b16.py',
    '../_base_/models/full.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/full.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    head=dict(in_channels=_base_.out_dims),
)
