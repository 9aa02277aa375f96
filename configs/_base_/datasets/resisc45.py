"""NWPU-RESISC45, a fifth of each class to train on.

The set has no official split. The folder holds ``NWPU-RESISC45/`` and
``split.json``, which ``tools/dataset_converters/split_folder.py`` writes; its
path is ``data/resisc45``, or the environment variable ``RESISC45_ROOT``.
Pipelines, held-out images and few shots: ``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$RESISC45_ROOT:data/resisc45}}'
template = 'aerial imagery of a {}.'
_images = dict(
    type='lore_mm.SplitFile',
    data_root=data_root,
    split_file='split.json',
    image_dir='NWPU-RESISC45',
)
train_dataloader = dict(
    dataset=dict(dataset=dict(split='trainval', **_images))
)
val_dataloader = dict(dataset=dict(dataset=dict(split='trainval', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
