r"""Point correspondence on parts of CUB-200-2011 by ViT-S/14 (DINOv2).

    python tools/test.py configs/correspondence/vit-s_cub-parts.py CHECKPOINT
    python tools/test.py configs/correspondence/vit-s_cub-parts.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box.
Folder: ``CUB_ROOT``. Cost: 5,794 images at most once, then 5,000 pairs.
Figures: ``docs/correspondence.md``.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/matcher.py',
    '../_base_/datasets/cub_parts.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(black_box=_base_.black_box))
