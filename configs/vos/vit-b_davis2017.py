r"""Video object segmentation on DAVIS-2017 by a vanilla ViT-B/16.

    python tools/test.py configs/vos/vit-b_davis2017.py CHECKPOINT
    python tools/test.py configs/vos/vit-b_davis2017.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box.
DINO's convention, the mean and std of the weights.
Folder: ``DAVIS_ROOT``. Cost: 1999 frames of 1560 tokens.
Published, J&F-Mean in per cent, B-B -> LORE: 58.12 -> 59.46.
"""

_base_ = [
    '../_base_/black_boxes/vit-b16_augreg.py',
    '../_base_/models/label_propagator_dino.py',
    '../_base_/datasets/davis2017.py',
    '../_base_/mmseg_runtime.py',
]
data_preprocessor = dict(
    _delete_=True,
    type='lore_mm.FramePreprocessor',
    mean=_base_.data_preprocessor.mean,  # the weights' own
    std=_base_.data_preprocessor.std,
    **_base_._frame_size,
)
model = dict(backbone=dict(black_box=_base_.black_box))
