"""CLIP-Adapter: a bottleneck on CLIP's projected CLS token."""

model = dict(
    type='ImageClassifier',
    backbone=dict(type='lore_mm.LOREViT', white_box=None, out_type='lore'),
    head=dict(
        type='lore_mm.CLIPAdapterHead',
        num_classes=None,
        reduction=4,
        ratio=0.2,
    ),
)
