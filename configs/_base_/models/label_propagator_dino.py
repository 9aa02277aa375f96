"""Label propagation by DINO's convention, the paper's.

One key makes the two rows of a comparison: with a checkpoint of a trained
classifier it is LORE; ``model.backbone.white_box=None`` and no checkpoint is
the bare Black Box. ``model.backbone.white_box.preset`` must be that of the
checkpoint. Other choices: ``model.propagation.top_k=10``,
``data_preprocessor.short_side=240``.
"""

model = dict(
    type='lore_mm.LabelPropagator',
    backbone=dict(
        type='lore_mm.LOREViT',
        white_box=dict(type='lore_mm.WhiteBox', preset='extended'),
        out_type='featmap',  # prefix tokens and prompts are dropped
    ),
    propagation=dict(
        context=7,  # and frame 0
        pad_context=False,
        window=12,  # cells to each side
        window_shape='square',
        window_first=True,  # in frame 0 too
        top_k=5,
        temperature=0.1,
        shrink='nearest',
        enlarge='patch_bilinear',
        min_max=True,
    ),
)
# Handed on to the data preprocessor by the leaf.
_frame_size = dict(
    short_side=480,
    multiple=64,
    rounding='floor',
    round_short=False,
    interpolation='bilinear',
)
# ImageNet's times 255, but for the 0.228 of red.
_mean = [123.675, 116.28, 103.53]
_std = [58.14, 57.12, 57.375]
custom_hooks = [dict(type='lore_mm.WhiteBoxCheckHook')]
