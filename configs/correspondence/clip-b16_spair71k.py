r"""Point correspondence on SPair-71k by CLIP ViT-B/16.

    python tools/test.py configs/correspondence/clip-b16_spair71k.py CHECKPOINT
    python tools/test.py configs/correspondence/clip-b16_spair71k.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box.
Folder: ``SPAIR_ROOT``. Cost: some 1,800 images once, then 12,234 pairs.
Published, PCK@0.1, B-B -> LORE: 18.25 -> 20.71.
"""

_base_ = [
    '../_base_/black_boxes/clip-b16.py',
    '../_base_/models/matcher.py',
    '../_base_/datasets/spair71k.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(black_box=_base_.black_box))
