"""Stanford Cars under CoOp's split.

The folder holds ``cars_train/``, ``cars_test/`` and
``split_zhou_StanfordCars.json``; its path is ``data/stanford_cars``, or the
environment variable ``CARS_ROOT``. Pipelines, held-out images and few shots:
``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$CARS_ROOT:data/stanford_cars}}'
template = 'This is a photo of a {}.'
_images = dict(
    type='lore_mm.SplitFile',
    data_root=data_root,
    split_file='split_zhou_StanfordCars.json',
)
train_dataloader = dict(
    dataset=dict(dataset=dict(split='trainval', **_images))
)
val_dataloader = dict(dataset=dict(dataset=dict(split='trainval', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
