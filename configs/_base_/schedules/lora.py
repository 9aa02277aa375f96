"""Recipe of LoRA: AdamW, cosine, own rate for the fitted head.

Rate and epochs are those of VPT's recipe but for a smaller rate; they were
not tuned.
"""

optim_wrapper = dict(
    constructor='lore_mm.TrainedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4),
    paramwise_cfg=dict(
        flat_decay_mult=0.0,  # biases
        custom_keys=dict(head=dict(lr_mult=1.0)),
    ),
)
param_scheduler = dict(
    type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True
)
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=32)

custom_hooks = [dict(type='lore_mm.HeadWarmStartHook')]
