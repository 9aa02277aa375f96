"""Visual prompt tuning, deep: 10 learnt prompts for each layer."""

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='lore_mm.PromptedViT',
        num_prompts=10,
        deep=True,
        out_type='lore',
    ),
    head=dict(type='lore_mm.LOREHead', num_classes=None, scale=16.0),
)
