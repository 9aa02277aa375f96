"""Linear probe: the bare, frozen Black Box and the head of LORE."""

model = dict(
    type='ImageClassifier',
    backbone=dict(type='lore_mm.LOREViT', white_box=None, out_type='lore'),
    head=dict(type='lore_mm.LOREHead', num_classes=None, scale=16.0),
)
