"""Grocery Store: products in shelves, official train, val and test split.

The folder holds ``dataset/``; its path is ``data/GroceryStoreDataset``, or the
environment variable ``GROCERY_ROOT``; any part of the set with whole classes
will do. Pipelines: ``common/held_out.py``.

Few shots: ``train_dataloader.dataset.shots=16`` and, for another draw,
``train_dataloader.dataset.seed=1``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$GROCERY_ROOT:data/GroceryStoreDataset}}'
template = 'a photo of a {}, a product in a grocery store.'
_images = dict(type='lore_mm.GroceryStore', data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='lore_mm.FewShotSubset',
        shots=None,
        seed=0,
        dataset=dict(split='train', pipeline=_base_.train_pipeline, **_images),
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True, split='val', pipeline=_base_.test_pipeline, **_images
    )
)
test_dataloader = dict(dataset=dict(split='test', **_images))
