r"""Video object segmentation on DAVIS-2017 by ViT-S/14 (DINOv2), as CRW.

    python tools/test.py configs/vos/vit-s_davis2017_crw.py CHECKPOINT
    python tools/test.py configs/vos/vit-s_davis2017_crw.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box.
CRW's convention, sides rounded to multiples of the patch of 14.
Folder: ``DAVIS_ROOT``. Cost: 1999 frames of 2040 tokens.
Figures: ``docs/video_segmentation.md``.
"""

_base_ = [
    '../_base_/black_boxes/vit-s14.py',
    '../_base_/models/label_propagator_crw.py',
    '../_base_/datasets/davis2017.py',
    '../_base_/mmseg_runtime.py',
]
data_preprocessor = dict(
    _delete_=True,
    type='lore_mm.FramePreprocessor',
    mean=_base_._mean,
    std=_base_._std,
    **{**_base_._frame_size, 'multiple': 14},
)
model = dict(backbone=dict(black_box=_base_.black_box))
