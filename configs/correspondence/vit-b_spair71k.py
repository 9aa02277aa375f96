r"""Point correspondence on SPair-71k by a vanilla ViT-B/16.

    python tools/test.py configs/correspondence/vit-b_spair71k.py CHECKPOINT
    python tools/test.py configs/correspondence/vit-b_spair71k.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box.
Folder: ``SPAIR_ROOT``. Cost: some 1,800 images once, then 12,234 pairs.
Published, PCK@0.1, B-B -> LORE: 16.61 -> 18.07.
"""

_base_ = [
    '../_base_/black_boxes/vit-b16_augreg.py',
    '../_base_/models/matcher.py',
    '../_base_/datasets/spair71k.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(black_box=_base_.black_box))
