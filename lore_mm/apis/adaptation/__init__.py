"""Adapt a folder of images in one call."""

from .result import Adaptation
from .run import adapt

__all__ = ['Adaptation', 'adapt']
