"""Ablation: prompts before the second half of the layers alone.

    python tools/train.py configs/ablation/vit-s_cub_late.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.68 M of 24.7 M weights (200 classes).
Figures: not run here.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(backbone=dict(white_box=dict(write_layer=6, global_layer=6)))
