"""Point correspondence by patch tokens; nothing is trained for it.

One key makes the two rows of a comparison: with a checkpoint of a trained
classifier it is LORE; ``model.backbone.white_box=None`` and no checkpoint is
the bare Black Box. ``model.backbone.white_box.preset`` must be that of the
checkpoint. Other choices: ``model.readout=bilinear-cosine`` or
``patch-centre``, ``model.layer=9`` (tokens after block 9).
"""

model = dict(
    type='lore_mm.KeypointMatcher',
    backbone=dict(
        type='lore_mm.LOREViT',
        white_box=dict(type='lore_mm.WhiteBox', preset='extended'),
        out_type='featmap',  # prefix tokens and prompts are dropped
    ),
    readout='bilinear-argmax',
    mutual_radius=1.0,  # in patches
    layer=None,  # the last
    norm=True,  # the ViT's last norm, whatever the layer
    cache_mb=2048,
)
