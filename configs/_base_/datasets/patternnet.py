"""PatternNet, four fifths of each class to train on.

The set has no official split. The folder holds ``images/`` and ``split.json``,
which ``tools/dataset_converters/split_folder.py`` writes; its path is
``data/patternnet``, or the environment variable ``PATTERNNET_ROOT``.
Pipelines, held-out images and few shots: ``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$PATTERNNET_ROOT:data/patternnet}}'
template = 'aerial imagery of a {}.'
_images = dict(
    type='lore_mm.SplitFile',
    data_root=data_root,
    split_file='split.json',
    image_dir='images',
)
train_dataloader = dict(
    dataset=dict(dataset=dict(split='trainval', **_images))
)
val_dataloader = dict(dataset=dict(dataset=dict(split='trainval', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
