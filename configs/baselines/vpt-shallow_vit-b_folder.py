"""VPT-shallow on ViT-B/16 (AugReg), your own images.

    export FOLDER_ROOT=images
    python tools/train.py configs/baselines/vpt-shallow_vit-b_folder.py

Cost: trains 9.22 k of 85.8 M weights (2 classes).
Figures: not run here.
"""

_base_ = [
    '../_base_/black_boxes/vit-b16_augreg.py',
    '../_base_/models/vpt-shallow.py',
    '../_base_/datasets/folder.py',
    '../_base_/schedules/vpt.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    head=dict(in_channels=_base_.out_dims),
)
