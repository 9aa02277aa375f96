"""LORE for OpenMMLab: adapt a frozen ViT by locality-aware prompts."""

from . import datasets, engine, evaluation, models
from .version import __version__

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models']
