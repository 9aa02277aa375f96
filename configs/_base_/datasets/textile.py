"""Textile images with local and global defects, bundled with a package.

``pip install conformal-clip-data`` brings the 2000 images; the environment
variable ``TEXTILE_ROOT`` names another folder with ``nominal/``, ``local/``
and ``global/``. There is no official split: this one is fixed by its seed,
200 / 100 / 200 images of each class for train / val / test.
``LORE_IMG_SIZE`` is the side of the images, for training and test alike.

Few shots: ``train_dataloader.dataset.shots=40`` and, for another draw,
``train_dataloader.dataset.seed=1``. Validation and test images stay.
"""

data_root = '{{$TEXTILE_ROOT:installed}}'
template = 'This is a photo of a {}.'
class_names = (
    'flawless woven textile',
    'woven textile with a small local defect',
    'woven textile with a global defect',
)
img_size = int('{{$LORE_IMG_SIZE:224}}')

# Both pipelines keep the whole image. A local defect is a few pixels wide and
# can lie at the border: a crop without it would make the label wrong. The
# weave has a direction, which a mirror would reverse and a half turn keeps.
train_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(
        type='Resize',
        scale=(img_size, img_size),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5, direction='diagonal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(
        type='Resize',
        scale=(img_size, img_size),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='PackInputs'),
]
dataset = dict(
    type='lore_mm.Textile',
    data_root=None if data_root == 'installed' else data_root,
    per_class=dict(train=200, val=100, test=200),
    seed=0,
    metainfo=dict(classes=class_names),
)

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='lore_mm.FewShotSubset',
        shots=200,
        seed=0,
        dataset=dict(split='train', pipeline=train_pipeline, **dataset),
    ),
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
# Accuracy, and the recall of each class.
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='SingleLabelMetric', items=('recall',), average=None),
]
test_evaluator = val_evaluator
