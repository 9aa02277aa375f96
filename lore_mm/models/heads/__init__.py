"""Heads."""

from .lore_head import LOREHead

__all__ = ['LOREHead']
