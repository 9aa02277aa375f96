"""LORE trained by mmpretrain's ArcFace head: angles between descriptors.

The head reads the CLS token after the final norm, which is what retrieval
compares. There is no neck: L_kp needs class names, metric learning does not.
"""

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='lore_mm.LOREViT',
        white_box=dict(type='lore_mm.WhiteBox', preset='extended'),
        out_type='cls_token',
    ),
    head=dict(
        type='ArcFaceClsHead',
        num_classes=None,  # taken from the data set
        scale=16.0,
        margins=0.3,
    ),
)
