"""LORE without global prompts in the blocks that the LIN reads after.

Global and local prompts enter the same blocks, those after a third.
"""

_base_ = '../lore/vit-s_cub.py'
model = dict(backbone=dict(white_box=dict(global_layer=4)))
