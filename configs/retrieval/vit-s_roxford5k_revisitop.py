r"""Retrieval on ROxford5k by ViT-S/14 (DINOv2), convention ``revisitop``.

    python tools/test.py configs/retrieval/vit-s_roxford5k_revisitop.py \
        CHECKPOINT
    python tools/test.py configs/retrieval/vit-s_roxford5k_revisitop.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box. Folder: ``ROXFORD5K_ROOT``.
Convention revisitop: queries cropped, long side 1024, three scales.
Cost: 5063 images once per model.
No published figure: this ViT is not among the paper's.
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
    scales=(1.0, 2**-0.5, 0.5),
    normalize_scales=True,
)
test_dataloader = dict(
    dataset=dict(
        data_root='{{$ROXFORD5K_ROOT:data/roxford5k}}',
        ann_file='gnd_roxford5k.pkl',
        convention='revisitop',
        long_side=1024,
    )
)
