"""Visual prompt tuning, shallow: 10 learnt prompts before the first layer."""

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='lore_mm.PromptedViT',
        num_prompts=10,
        deep=False,
        out_type='lore',
    ),
    head=dict(type='lore_mm.LOREHead', num_classes=None, scale=16.0),
)
