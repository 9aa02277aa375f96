r"""Retrieval on ROxford5k by vanilla ViT-B/16, convention ``dino``.

    python tools/test.py configs/retrieval/vit-b_roxford5k.py CHECKPOINT
    python tools/test.py configs/retrieval/vit-b_roxford5k.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box. Folder: ``ROXFORD5K_ROOT``.
Convention dino: no query crop, long side 224, one scale.
Cost: 5063 images once per model.
Published, mAP Medium / Hard, B-B -> LORE: .302 / .094 -> .449 / .172.
"""

_base_ = [
    '../_base_/black_boxes/vit-b16_augreg.py',
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
)
test_dataloader = dict(
    dataset=dict(
        data_root='{{$ROXFORD5K_ROOT:data/roxford5k}}',
        ann_file='gnd_roxford5k.pkl',
        convention='dino',
        long_side=224,
    )
)
