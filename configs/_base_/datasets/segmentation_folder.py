"""Your own images and masks: ``images/``, ``annotations/``, ``classes.txt``.

The folder is ``data/segmentation``, or the environment variable ``SEG_ROOT``;
see :class:`lore_mm.datasets.MaskFolder`. It holds ``train``, ``val`` and
``test``. ``LORE_IMG_SIZE`` is the side of training crops and the short side at
test, a multiple of the patch.
"""

data_root = '{{$SEG_ROOT:data/segmentation}}'
template = 'This is a photo of a {}.'
crop_size = int('{{$LORE_IMG_SIZE:448}}')

train_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(type='lore_mm.LoadMask'),
    dict(
        type='RandomResize',
        scale=(4 * crop_size, crop_size),
        ratio_range=(0.75, 2.0),
        keep_ratio=True,
    ),
    dict(
        type='RandomCrop',
        crop_size=(crop_size, crop_size),
        cat_max_ratio=0.9,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(type='Resize', scale=(4 * crop_size, crop_size), keep_ratio=True),
    dict(type='lore_mm.LoadMask'),
    dict(type='PackSegInputs'),
]
dataset = dict(type='lore_mm.MaskFolder', data_root=data_root)

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', pipeline=train_pipeline, **dataset),
)
val_dataloader = dict(
    batch_size=1,  # sizes differ
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='val', pipeline=test_pipeline, **dataset),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='test', pipeline=test_pipeline, **dataset),
)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
