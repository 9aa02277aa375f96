"""ImageNet-1k; the validation split is the test set.

Five images of each training class are held out to validate on. The folder
holds ``train/`` and ``val/`` with a sub-folder for each class; its path is
``data/imagenet``, or the environment variable ``IMAGENET_ROOT``. Pipelines,
held-out images and few shots: ``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$IMAGENET_ROOT:data/imagenet}}'
template = 'This is a photo of a {}.'
_images = dict(type='lore_mm.ImageNet1k', data_root=data_root)
train_dataloader = dict(
    dataset=dict(per_class=5, dataset=dict(split='train', **_images))
)
val_dataloader = dict(
    dataset=dict(per_class=5, dataset=dict(split='train', **_images))
)
test_dataloader = dict(dataset=dict(split='val', **_images))
