"""Oxford Flowers-102 under CoOp's split.

The folder holds ``jpg/`` and ``split_zhou_OxfordFlowers.json``; its path is
``data/oxford_flowers``, or the environment variable ``FLOWERS102_ROOT``.
Pipelines, held-out images and few shots: ``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$FLOWERS102_ROOT:data/oxford_flowers}}'
template = 'a photo of a {}, a type of flower.'
_images = dict(
    type='lore_mm.SplitFile',
    data_root=data_root,
    split_file='split_zhou_OxfordFlowers.json',
    image_dir='jpg',
)
train_dataloader = dict(
    dataset=dict(dataset=dict(split='trainval', **_images))
)
val_dataloader = dict(dataset=dict(dataset=dict(split='trainval', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
