"""CUB-200-2011 as box crops: the whole image is the bird.

Each image is an official bounding box, squashed to a square. So no image is
cropped at test, and training crops are mild. The folder has the layout of
CUB-200-2011; its path is ``data/CUB_bbox_crops_227``, or the environment
variable ``CUB_CROPS_ROOT``. Held-out images and few shots:
``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$CUB_CROPS_ROOT:data/CUB_bbox_crops_227}}'
template = 'a photo of a {}, a type of bird.'
_images = dict(type='lore_mm.CUB200', data_root=data_root)
_test_steps = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(
        type='Resize',
        scale=(_base_.img_size, _base_.img_size),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(dataset=dict(split='train', **_images)))
val_dataloader = dict(
    dataset=dict(dataset=dict(split='train', pipeline=_test_steps, **_images))
)
test_dataloader = dict(
    dataset=dict(split='test', pipeline=_test_steps, **_images)
)
