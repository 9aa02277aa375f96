"""Frozen pre-trained ViTs behind one protocol."""

from .base import BlackBox
from .mmpretrain_vit import MMPretrainBlackBox
from .open_clip_vit import OpenCLIPBlackBox
from .pre_norm_block import PreNormBlock, standard_block
from .timm_vit import TimmBlackBox

__all__ = [
    'BlackBox',
    'MMPretrainBlackBox',
    'OpenCLIPBlackBox',
    'PreNormBlock',
    'TimmBlackBox',
    'standard_block',
]
