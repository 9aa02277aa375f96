r"""Retrieval on RParis6k by CLIP ViT-B/16, convention ``dino``.

    python tools/test.py configs/retrieval/clip-b16_rparis6k.py CHECKPOINT
    python tools/test.py configs/retrieval/clip-b16_rparis6k.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box. Folder: ``RPARIS6K_ROOT``.
Convention dino: no query crop, long side 512, three scales.
Cost: 6392 images once per model.
Published, mAP Medium / Hard, B-B -> LORE: .708 / .482 -> .750 / .552.
"""

_base_ = [
    '../_base_/black_boxes/clip-b16.py',
    '../_base_/models/retriever.py',
    '../_base_/datasets/revisited.py',
    '../_base_/default_runtime.py',
]
data_preprocessor = dict(
    _delete_=True,
    type='lore_mm.MixedSizePreprocessor',
    mean=_base_.data_preprocessor.mean,
    std=_base_.data_preprocessor.std,
)
model = dict(
    backbone=dict(black_box=_base_.black_box),
    scales=(1.0, 2**-0.5, 0.5),
)
test_dataloader = dict(
    dataset=dict(
        data_root='{{$RPARIS6K_ROOT:data/rparis6k}}',
        ann_file='gnd_rparis6k.pkl',
        convention='dino',
        long_side=512,
    )
)
