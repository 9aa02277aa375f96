"""Ablation: bottlenecks of PG of width 64 (r), not 32.

    python tools/train.py configs/ablation/vit-s_cub_r64.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 3 M of 25.1 M weights (200 classes).
Figures: not run here.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(backbone=dict(white_box=dict(hidden_dims=64)))
