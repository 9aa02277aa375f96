"""Retrieval by the frozen ViT: the CLS token, one scale, no whitening.

One key makes the two rows of a comparison: with a checkpoint of a trained
classifier it is LORE; ``model.backbone.white_box=None`` and no checkpoint is
the bare Black Box. ``model.backbone.white_box.preset`` must be that of the
checkpoint.
"""

model = dict(
    type='lore_mm.ImageRetriever',
    backbone=dict(
        type='lore_mm.LOREViT',
        white_box=dict(type='lore_mm.WhiteBox', preset='extended'),
    ),
    head=dict(type='lore_mm.RetrievalHead', pooling='cls', whitening=None),
    scales=(1.0,),
    normalize_scales=False,
    fit='crop',  # the last rows and columns that fill no patch are left out
)
