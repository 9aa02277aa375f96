"""Label propagation by the convention of CRW (Jabri et al., 2020).

A long context filled up with copies of frame 0, itself looked at as a whole; a
round window; the first mask shrunk softly; no stretching. CRW's network has a
stride of 8 and takes frames as they are; a ViT needs multiples of its patch.
Keys as in ``label_propagator_dino.py``.
"""

model = dict(
    type='lore_mm.LabelPropagator',
    backbone=dict(
        type='lore_mm.LOREViT',
        white_box=dict(type='lore_mm.WhiteBox', preset='extended'),
        out_type='featmap',
    ),
    propagation=dict(
        context=20,  # and frame 0
        pad_context=True,
        window=11.99,  # CRW: less than 12
        window_shape='circle',
        window_first=False,
        top_k=10,
        temperature=0.05,
        shrink='bilinear',
        enlarge='bilinear',
        min_max=False,
    ),
)
_frame_size = dict(
    short_side=None,  # the frame's own
    multiple=16,
    rounding='nearest',
    round_short=True,
    interpolation='bilinear',
)
_mean = [123.675, 116.28, 103.53]
_std = [58.395, 57.12, 57.375]
custom_hooks = [dict(type='lore_mm.WhiteBoxCheckHook')]
