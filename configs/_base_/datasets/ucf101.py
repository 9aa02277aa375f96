"""UCF101, the middle frame of each video, under CoOp's split.

The folder holds ``UCF-101-midframes/`` and ``split_zhou_UCF101.json``; its
path is ``data/ucf101``, or the environment variable ``UCF101_ROOT``.
Pipelines, held-out images and few shots: ``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$UCF101_ROOT:data/ucf101}}'
template = 'a photo of a person doing {}.'
_images = dict(
    type='lore_mm.SplitFile',
    data_root=data_root,
    split_file='split_zhou_UCF101.json',
    image_dir='UCF-101-midframes',
)
train_dataloader = dict(
    dataset=dict(dataset=dict(split='trainval', **_images))
)
val_dataloader = dict(dataset=dict(dataset=dict(split='trainval', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
