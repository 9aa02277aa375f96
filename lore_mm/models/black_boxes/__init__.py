"""Frozen pre-trained ViTs behind one protocol."""

from .base import BlackBox
from .timm_vit import TimmBlackBox

__all__ = ['BlackBox', 'TimmBlackBox']
