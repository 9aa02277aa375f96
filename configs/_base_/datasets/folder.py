"""Your own images: a folder with one sub-folder per class, no code.

The folder is ``data/images``, or the environment variable ``FOLDER_ROOT``. It
holds ``train/``, ``val/`` and ``test/``, or the class folders alone, which a
seeded split then shares out 70 / 10 / 20. To keep that split in a file set
``split_file`` of the three data sets to the same path. ``LORE_IMG_SIZE`` is
the side of the images, for training and test alike. Large JPEG photos are
decoded at a fraction of their size.
"""

data_root = '{{$FOLDER_ROOT:data/images}}'
template = 'This is a photo of a {}.'
img_size = int('{{$LORE_IMG_SIZE:224}}')

train_pipeline = [
    dict(type='lore_mm.LoadRGBImage', min_side=2 * img_size),
    dict(
        type='RandomResizedCrop',
        scale=img_size,
        crop_ratio_range=(0.35, 1.0),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='lore_mm.LoadRGBImage', min_side=2 * img_size),
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
dataset = dict(
    type='lore_mm.ImageFolder',
    data_root=data_root,
    split_ratio=(0.7, 0.1, 0.2),
    seed=0,
    split_file=None,
)

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', pipeline=train_pipeline, **dataset),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='val', pipeline=test_pipeline, **dataset),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='test', pipeline=test_pipeline, **dataset),
)
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
