"""Recipe of LORE: AdamW, cosine, own rate for the head.

The learning rate is that of the White Box and the neck; the head's is
``lr_mult`` times as much. Before training the prompts start at the mean patch
tokens and the head at a linear probe, so that it need not learn quickly.
Why these values: docs/results.md.
"""

optim_wrapper = dict(
    constructor='lore_mm.TrainedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-4),
    paramwise_cfg=dict(
        flat_decay_mult=0.0,  # biases and norms
        custom_keys=dict(
            global_prompts=dict(decay_mult=0.0),
            out_norm=dict(decay_mult=0.0),  # of the local prompts
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
    dict(type='lore_mm.PromptStartHook', gain=0.3),
    dict(type='lore_mm.NormStatisticsHook'),
    dict(type='lore_mm.HeadWarmStartHook'),
]
