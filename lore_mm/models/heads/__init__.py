"""Heads."""

from .coop_head import CoOpHead
from .lore_head import LOREHead
from .text_heads import CLIPAdapterHead, ZeroShotHead

__all__ = ['CLIPAdapterHead', 'CoOpHead', 'LOREHead', 'ZeroShotHead']
