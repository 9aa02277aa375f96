"""What the classification sets share: pipelines, loaders, held-out images.

Validation images are held out of the training split; the test split chooses
nothing. A set's own file adds the innermost data sets. ``LORE_IMG_SIZE`` is
the side of the images, for training and test alike.

Few shots: ``train_dataloader.dataset.shots=16`` and, for another draw,
``train_dataloader.dataset.shots_seed=1``. The validation images stay.
"""

img_size = int('{{$LORE_IMG_SIZE:224}}')

train_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(
        type='RandomResizedCrop',
        scale=img_size,
        crop_ratio_range=(0.5, 1.0),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(
        type='ResizeEdge',
        scale=img_size * 8 // 7,
        edge='short',
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='CenterCrop', crop_size=img_size),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='lore_mm.HoldOut',
        part='train',
        ratio=0.2,
        seed=0,
        shots=None,
        shots_seed=0,
        dataset=dict(pipeline=train_pipeline),
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='lore_mm.HoldOut',
        part='val',
        ratio=0.2,
        seed=0,
        dataset=dict(pipeline=test_pipeline),
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=test_pipeline),
)
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
