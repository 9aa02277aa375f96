"""Ablation: L_kp with prototypes from the texts alone, without KLA.

    python tools/train.py configs/ablation/vit-s_cub_no-kla.py

All else is as in ``configs/lore/vit-s_cub.py``.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.46 M of 24.5 M weights (200 classes).
Figures: not run here.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(neck=dict(type='lore_mm.KnowledgeNeck'))
