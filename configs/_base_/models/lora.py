"""LoRA: a low-rank change of each block's query, key and value maps."""

model = dict(
    type='ImageClassifier',
    backbone=dict(type='lore_mm.LoRAViT', rank=16, alpha=16, out_type='lore'),
    head=dict(type='lore_mm.LOREHead', num_classes=None, scale=16.0),
)
