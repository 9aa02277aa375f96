"""Ablation: locality-aware prompts alone, no global ones.

    python tools/train.py configs/ablation/vit-s_cub_no-global.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.72 M of 24.8 M weights (200 classes).
Figures: not run here.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(backbone=dict(white_box=dict(num_global_prompts=0)))
