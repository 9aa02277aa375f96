r"""Point correspondence on SPair-71k by ViT-S/14 (DINOv2).

    python tools/test.py configs/correspondence/vit-s_spair71k.py CHECKPOINT
    python tools/test.py configs/correspondence/vit-s_spair71k.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box.
Folder: ``SPAIR_ROOT``. Cost: some 1,800 images once, then 12,234 pairs.
No published figure: this ViT is not among the paper's.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/matcher.py',
    '../_base_/datasets/spair71k.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(black_box=_base_.black_box))
