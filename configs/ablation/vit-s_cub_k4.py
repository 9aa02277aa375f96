"""Ablation: 4 neighbours (K) in the graph of the LIN, not 9.

    python tools/train.py configs/ablation/vit-s_cub_k4.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.75 M of 24.8 M weights (200 classes).
Figures: not run here.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(backbone=dict(white_box=dict(k=4)))
