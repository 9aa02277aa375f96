"""Small helpers that need nothing else of the package."""

from .mixed_precision import mixed_precision_pays
from .paths import config_roots, find_config, find_tool
from .quiet import quiet_imports

__all__ = [
    'config_roots',
    'find_config',
    'find_tool',
    'mixed_precision_pays',
    'quiet_imports',
]
