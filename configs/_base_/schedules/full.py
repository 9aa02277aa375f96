"""Recipe of full fine-tuning: AdamW, cosine, a small rate for the ViT.

The head, which starts from a linear probe, has ``lr_mult`` times that rate.
"""

optim_wrapper = dict(
    constructor='lore_mm.TrainedOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-5, weight_decay=0.05),
    paramwise_cfg=dict(
        flat_decay_mult=0.0,  # biases and norms
        custom_keys=dict(
            pos_embed=dict(decay_mult=0.0),
            cls_token=dict(decay_mult=0.0),
            backbone=dict(lr_mult=1.0),  # where CLIP has a `head` too
            head=dict(lr_mult=100.0),
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

custom_hooks = [dict(type='lore_mm.HeadWarmStartHook')]
