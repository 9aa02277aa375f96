"""Recipe of CoOp for 8 and 16 shots, as its repository has it.

SGD, batch 32, cosine over 200 epochs after one at a rate of 1e-5. It took 100
epochs for 2 and 4 shots, 50 for one.
"""

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.002, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = [
    dict(type='ConstantLR', factor=0.005, by_epoch=True, begin=0, end=1),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=1,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=10)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=32)

custom_hooks = [dict(type='lore_mm.TextHeadHook')]
