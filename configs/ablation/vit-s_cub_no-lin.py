"""Ablation: LORE without LIN.

    python tools/train.py configs/ablation/vit-s_cub_no-lin.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 975 k of 23 M weights (200 classes).
Figures: not run here.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(backbone=dict(white_box=dict(type='lore_mm.WhiteBoxWithoutLIN')))
