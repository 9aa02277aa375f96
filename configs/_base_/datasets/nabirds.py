"""NABirds, official split.

Some classes have fewer images than 16 shots ask for: they give all they have.
The folder is ``nabirds`` as extracted; its path is ``data/nabirds``, or the
environment variable ``NABIRDS_ROOT``. Pipelines, held-out images and few
shots: ``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$NABIRDS_ROOT:data/nabirds}}'
template = 'a photo of a {}, a type of bird.'
_images = dict(type='lore_mm.NABirds', data_root=data_root)
train_dataloader = dict(
    dataset=dict(allow_fewer=True, dataset=dict(split='train', **_images))
)
val_dataloader = dict(dataset=dict(dataset=dict(split='train', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
