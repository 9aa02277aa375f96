"""LORE: White Box, neck and head; the leaf adds the Black Box."""

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='lore_mm.LOREViT',
        white_box=dict(type='lore_mm.WhiteBox', preset='released'),
        out_type='lore',
    ),
    neck=dict(type='lore_mm.KnowledgeLocalityNeck', num_classes=None),
    head=dict(
        type='lore_mm.LOREHead',
        num_classes=None,  # taken from the data set
        scale=16.0,  # 100 as published
        constraint=dict(type='lore_mm.PrototypeConstraintLoss'),
    ),
)
