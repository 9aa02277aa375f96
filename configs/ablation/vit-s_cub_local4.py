"""Ablation: 4 locality-aware prompts per layer, not 2.

    python tools/train.py configs/ablation/vit-s_cub_local4.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.97 M of 25 M weights (200 classes).
Figures: not run here.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(backbone=dict(white_box=dict(num_local_prompts=4)))
