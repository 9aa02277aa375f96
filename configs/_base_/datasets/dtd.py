"""Describable Textures, official split 1.

The folder holds ``images/`` and ``imdb/``; its path is ``data/dtd``, or the
environment variable ``DTD_ROOT``. Pipelines, held-out images and few shots:
``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$DTD_ROOT:data/dtd}}'
template = 'This is a photo of a {}.'
_images = dict(type='DTD', data_root=data_root)
train_dataloader = dict(
    dataset=dict(dataset=dict(split='trainval', **_images))
)
val_dataloader = dict(dataset=dict(dataset=dict(split='trainval', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
