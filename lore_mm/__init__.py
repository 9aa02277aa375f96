"""LORE for OpenMMLab: adapt a frozen ViT by locality-aware prompts."""

from .utils.quiet import quiet_imports
from .version import __version__

with quiet_imports():
    from . import (
        apis,
        datasets,
        engine,
        evaluation,
        models,
        visualization,
    )

__all__ = [
    '__version__',
    'apis',
    'datasets',
    'engine',
    'evaluation',
    'models',
    'visualization',
]
