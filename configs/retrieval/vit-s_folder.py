r"""Retrieval in a folder of your own by ViT-S/14 (DINOv2).

    export RETRIEVAL_ROOT=photos
    python tools/test.py configs/retrieval/vit-s_folder.py CHECKPOINT
    python tools/test.py configs/retrieval/vit-s_folder.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box. The folder holds ``jpg/``
and the ground truth ``gnd.json``; other names are options, see
docs/retrieval.md. Convention dino: no query crop, long side 224, one scale.
Cost: half a minute for 100 images on two cores.
No published figure: the images are yours.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
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
        data_root='{{$RETRIEVAL_ROOT:data/retrieval}}',
        ann_file='gnd.json',
        convention='dino',
        long_side=224,
    )
)
