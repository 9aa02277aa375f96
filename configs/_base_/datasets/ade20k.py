"""ADE20K, 150 classes, in mmseg's layout.

The folder is ``data/ade/ADEChallengeData2016``, or the environment variable
``ADE_ROOT``. The official validation split has the only public truth beside
the training split: it is the test set here, and nothing is chosen on it.
``LORE_IMG_SIZE`` is the side of training crops and the short side at test, a
multiple of the patch.
"""

data_root = '{{$ADE_ROOT:data/ade/ADEChallengeData2016}}'
template = 'This is a photo of a {}.'
crop_size = int('{{$LORE_IMG_SIZE:448}}')

train_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
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
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(
            img_path='images/training', seg_map_path='annotations/training'
        ),
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,  # sizes differ
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(
            img_path='images/validation',
            seg_map_path='annotations/validation',
        ),
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
