"""Recipe of segmentation: AdamW, cosine; one rate for all that is trained."""

optim_wrapper = dict(
    constructor='lore_mm.TrainedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4),
    paramwise_cfg=dict(
        flat_decay_mult=0.0,  # biases and norms
        custom_keys=dict(
            global_prompts=dict(decay_mult=0.0),
            out_norm=dict(decay_mult=0.0),  # of the local prompts
        ),
    ),
)
param_scheduler = dict(
    type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True
)
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=8)
