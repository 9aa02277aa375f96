"""Train LORE for retrieval with ArcFace, ViT-S/14, Grocery Store.

    python tools/train.py configs/retrieval/arcface_vit-s_grocery.py

then score its checkpoint as any other, by the same metric:

    python tools/test.py configs/retrieval/vit-s_grocery.py CHECKPOINT

Folder: ``GROCERY_ROOT``. The database of that test is this training split.
Cost: trains 2.1 M of 24.2 M weights (81 classes).
Figures: not run here.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/arcface.py',
    '../_base_/datasets/grocery.py',
    '../_base_/schedules/arcface.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(black_box=_base_.black_box),
    head=dict(in_channels=_base_.embed_dims),
)
