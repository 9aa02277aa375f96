"""Segmentation by training: LORE's backbone, mmseg's FCN head, the constraint.

Without the constraint: ``model.constraint=None model.neck=None``. The bare
Black Box, only the head trained: ``model.backbone.white_box=None`` as well.
The head is any of mmseg's.
"""

model = dict(
    type='lore_mm.LORESegmentor',
    backbone=dict(
        type='lore_mm.LOREViT',
        # `extended` has layer norms: its statistics need no care on images
        # of several sizes.
        white_box=dict(type='lore_mm.WhiteBox', preset='extended'),
        out_type='featmap',
    ),
    neck=dict(type='lore_mm.KnowledgeLocalityNeck', num_classes=None),
    constraint=dict(type='lore_mm.MaskPrototypeLoss'),
    decode_head=dict(
        type='FCNHead',
        in_index=0,
        channels=256,
        num_convs=1,
        kernel_size=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=None,  # taken from the data set
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
