"""LORE `extended` on ViT-S/14, CUB-200-2011: longer, LIN and PG gently.

    python tools/train.py configs/lore/vit-s_cub_long.py

40 epochs suit the prompts. The weights of LIN and PG, many for few images,
would learn them by heart meanwhile, so they take a tenth of the rate.
Weights: see ``configs/_base_/black_boxes/vit-s14.py``.
Cost: trains 2.75 M of 24.8 M weights (200 classes).
Figures: top-1 on 13 classes at 126 px 76.4 % with all images, 72.6 % with 16
    shots (docs/results.md).
"""

_base_ = ['./vit-s_cub.py']
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(
            white_box=dict(lr_mult=0.1),
            global_prompts=dict(lr_mult=1.0),
        ),
    ),
)
train_cfg = dict(max_epochs=40)
