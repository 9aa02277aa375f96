r"""Point correspondence on PF-WILLOW by ViT-S/14 (DINOv2).

    python tools/test.py configs/correspondence/vit-s_pf-willow.py CHECKPOINT
    python tools/test.py configs/correspondence/vit-s_pf-willow.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box.
Folder: ``PF_WILLOW_ROOT``. Cost: 100 images once, then 900 pairs.
Figures: ``docs/correspondence.md``.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/matcher.py',
    '../_base_/datasets/pf_willow.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(black_box=_base_.black_box))
