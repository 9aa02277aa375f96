"""Ablation: prompts that enter once, not before each layer.

    python tools/train.py configs/ablation/vit-s_cub_shallow.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.53 M of 24.6 M weights (200 classes).
Figures: not run here.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(backbone=dict(white_box=dict(deep=False)))
