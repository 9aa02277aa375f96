"""LORE beyond the paper: the White Box reads and pools where details are.

The LIN reads the ViT's tokens after a third of its blocks, prompts enter the
blocks after it, PG pools by maximum and minimum, and the head reads the
pooled tokens beside the CLS token. The leaf adds the Black Box and the head's
widths. Why: docs/results.md.
"""

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='lore_mm.LOREViT',
        white_box=dict(type='lore_mm.WhiteBox', preset='extended'),
        out_type='lore',
    ),
    neck=dict(type='lore_mm.KnowledgeLocalityNeck', num_classes=None),
    head=dict(
        type='lore_mm.LOREHead',
        num_classes=None,  # taken from the data set
        scale=16.0,
        constraint=dict(type='lore_mm.PrototypeConstraintLoss'),
    ),
)
