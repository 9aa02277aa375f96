"""Models of lore_mm."""

from .black_boxes import BlackBox, TimmBlackBox

__all__ = ['BlackBox', 'TimmBlackBox']
