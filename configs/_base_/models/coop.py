"""CoOp: 16 learnt words before the name of the class."""

model = dict(
    type='ImageClassifier',
    backbone=dict(type='lore_mm.LOREViT', white_box=None, out_type='lore'),
    head=dict(
        type='lore_mm.CoOpHead',
        num_classes=None,
        num_context=16,
        context_dims=512,  # word embeddings of CLIP ViT-B's text tower
    ),
)
