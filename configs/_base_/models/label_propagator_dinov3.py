"""Label propagation by the convention of DINOv3's tracking example.

Large frames, a round window, a higher temperature, masks enlarged by nearest
neighbours. Keys as in ``label_propagator_dino.py``.
"""

model = dict(
    type='lore_mm.LabelPropagator',
    backbone=dict(
        type='lore_mm.LOREViT',
        white_box=dict(type='lore_mm.WhiteBox', preset='extended'),
        out_type='featmap',
    ),
    propagation=dict(
        context=7,  # and frame 0
        pad_context=False,
        window=12,
        window_shape='circle',
        window_first=True,
        top_k=5,
        temperature=0.2,
        shrink='nearest',
        enlarge='nearest',
        min_max=True,
    ),
)
_frame_size = dict(
    short_side=960,
    multiple=16,
    rounding='ceil',
    round_short=True,
    interpolation='bicubic',
)
_mean = [123.675, 116.28, 103.53]
_std = [58.395, 57.12, 57.375]
custom_hooks = [dict(type='lore_mm.WhiteBoxCheckHook')]
