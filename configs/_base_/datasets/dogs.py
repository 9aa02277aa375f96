"""Stanford Dogs, official split.

The folder holds ``Images/`` and the files of ``lists.tar``; its path is
``data/stanford_dogs``, or the environment variable ``DOGS_ROOT``. Pipelines,
held-out images and few shots: ``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$DOGS_ROOT:data/stanford_dogs}}'
template = 'a photo of a {}, a type of dog.'
_images = dict(type='lore_mm.StanfordDogs', data_root=data_root)
train_dataloader = dict(dataset=dict(dataset=dict(split='train', **_images)))
val_dataloader = dict(dataset=dict(dataset=dict(split='train', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
