"""Recipe of visual prompt tuning: AdamW, cosine, own rate for the head.

Prompts and head start as those of LORE do. On CUB 40 epochs gave a point or
two more (docs/results.md).
"""

optim_wrapper = dict(
    constructor='lore_mm.TrainedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-4),
    paramwise_cfg=dict(
        flat_decay_mult=0.0,  # biases
        custom_keys=dict(
            prompts=dict(decay_mult=0.0),
            head=dict(lr_mult=0.3),
        ),
    ),
)
param_scheduler = dict(
    type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True
)
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=32)

custom_hooks = [
    dict(type='lore_mm.PromptStartHook'),
    dict(type='lore_mm.HeadWarmStartHook'),
]
