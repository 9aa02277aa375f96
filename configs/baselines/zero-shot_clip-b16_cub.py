"""Zero-shot CLIP ViT-B/16, CUB-200-2011.

    python tools/test.py configs/baselines/zero-shot_clip-b16_cub.py none

Cost: trains none of 86.2 M weights (200 classes).
Figures: not run here, the weights are on a model hub.
"""

_base_ = [
    '../_base_/black_boxes/clip-b16.py',
    '../_base_/models/zero-shot.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/zero-shot.py',
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
train_dataloader = None
val_dataloader = None
val_evaluator = None
