"""FGVC Aircraft, variants, official split.

CoOp publishes no split file for this set: it takes the official lists too. The
folder is ``fgvc-aircraft-2013b`` as extracted; its path is
``data/fgvc-aircraft-2013b``, or the environment variable ``AIRCRAFT_ROOT``.
Pipelines, held-out images and few shots: ``common/held_out.py``.
"""

_base_ = 'common/held_out.py'

data_root = '{{$AIRCRAFT_ROOT:data/fgvc-aircraft-2013b}}'
template = 'a photo of a {}, a type of aircraft.'
_images = dict(type='FGVCAircraft', data_root=data_root)
train_dataloader = dict(
    dataset=dict(dataset=dict(split='trainval', **_images))
)
val_dataloader = dict(dataset=dict(dataset=dict(split='trainval', **_images)))
test_dataloader = dict(dataset=dict(split='test', **_images))
