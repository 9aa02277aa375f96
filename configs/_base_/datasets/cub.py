"""CUB-200-2011: fine-grained birds, official train and test split.

Validation images, a fifth of each class, are held out of the training split;
the test split chooses nothing. The folder is ``data/CUB_200_2011``, or the
environment variable ``CUB_ROOT``; any part of the set with whole classes will
do. ``LORE_IMG_SIZE`` is the side of the images, for training and test alike.

Few shots: ``train_dataloader.dataset.shots=16`` and, for another draw,
``train_dataloader.dataset.shots_seed=1``. The validation images stay.
"""

data_root = '{{$CUB_ROOT:data/CUB_200_2011}}'
template = 'a photo of a {}, a type of bird.'
img_size = int('{{$LORE_IMG_SIZE:224}}')

train_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    # Crops keep at least half of the image: what tells two species apart is
    # small, and a crop without it teaches nothing.
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
        dataset=dict(
            type='lore_mm.CUB200',
            data_root=data_root,
            split='train',
            pipeline=train_pipeline,
        ),
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
        dataset=dict(
            type='lore_mm.CUB200',
            data_root=data_root,
            split='train',
            pipeline=test_pipeline,
        ),
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='lore_mm.CUB200',
        data_root=data_root,
        split='test',
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
