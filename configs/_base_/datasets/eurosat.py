"""EuroSAT (RGB) under CoOp's split.

The folder holds ``2750/`` and ``split_zhou_EuroSAT.json``; its path is
``data/eurosat``, or the environment variable ``EUROSAT_ROOT``. Pipelines,
held-out images and few shots: ``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$EUROSAT_ROOT:data/eurosat}}'
template = 'a centered satellite photo of {}.'
_images = dict(
    type='lore_mm.SplitFile',
    data_root=data_root,
    split_file='split_zhou_EuroSAT.json',
    image_dir='2750',
)
train_dataloader = dict(
    dataset=dict(dataset=dict(split='trainval', **_images))
)
val_dataloader = dict(dataset=dict(dataset=dict(split='trainval', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
