"""CIFAR-10, official split.

The images come as arrays, so pipelines load no files. The folder holds
``cifar-10-batches-py/``; its path is ``data/cifar10``, or the environment
variable ``CIFAR10_ROOT``. Held-out images and few shots:
``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$CIFAR10_ROOT:data/cifar10}}'
template = 'This is a photo of a {}.'
_images = dict(type='CIFAR10', data_root=data_root, download=False)
_train_steps = _base_.train_pipeline[1:]
_test_steps = _base_.test_pipeline[1:]
train_dataloader = dict(
    dataset=dict(dataset=dict(split='train', pipeline=_train_steps, **_images))
)
val_dataloader = dict(
    dataset=dict(dataset=dict(split='train', pipeline=_test_steps, **_images))
)
test_dataloader = dict(
    dataset=dict(split='test', pipeline=_test_steps, **_images)
)
