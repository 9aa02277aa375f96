"""Zero-shot CLIP: cosines to the texts of the classes, nothing trained."""

model = dict(
    type='ImageClassifier',
    backbone=dict(type='lore_mm.LOREViT', white_box=None, out_type='lore'),
    head=dict(type='lore_mm.ZeroShotHead', num_classes=None),
)
