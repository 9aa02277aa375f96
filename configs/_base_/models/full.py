"""Full fine-tuning: all weights of the ViT are trained."""

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='lore_mm.LOREViT',
        black_box=dict(frozen=False),
        white_box=None,
        out_type='lore',
    ),
    head=dict(type='lore_mm.LOREHead', num_classes=None, scale=16.0),
)
