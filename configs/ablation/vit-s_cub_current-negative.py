"""Ablation: p of Eq. (10) from the model itself, not the Black Box.

    python tools/train.py configs/ablation/vit-s_cub_current-negative.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.75 M of 24.8 M weights (200 classes).
Figures: not run here.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(head=dict(negative_source='current'))
