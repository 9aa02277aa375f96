"""Small helpers that need nothing else of the package."""

from .errors import SetupError
from .mixed_precision import mixed_precision_pays
from .paths import config_roots, find_config, find_tool
from .pixels import check_rgb
from .quiet import quiet_imports

__all__ = [
    'SetupError',
    'check_rgb',
    'config_roots',
    'find_config',
    'find_tool',
    'mixed_precision_pays',
    'quiet_imports',
]
