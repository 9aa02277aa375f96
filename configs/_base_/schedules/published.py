"""The published recipe: SGD, 50 epochs, batch 32, weight decay 0.5.

The released code never left eval mode after its first epoch, so its batch
norms kept the statistics of that epoch; the hook does so on purpose. Weight
decay is that of most sets there; 1e-3 for CIFAR, 0.1 for ImageNet, 1.0 for
Dogs and EuroSAT. EuroSAT took a learning rate of 0.0015, CIFAR-10 20 epochs,
CIFAR-100 10.
"""

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.003, momentum=0.9, weight_decay=0.5)
)
param_scheduler = dict(
    type='CosineAnnealingLR',
    eta_min=0.0001,
    by_epoch=True,
    convert_to_iter_based=True,
)
train_cfg = dict(by_epoch=True, max_epochs=50, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=32)

custom_hooks = [
    dict(type='lore_mm.NormStatisticsHook', mode='freeze', epochs=1)
]
