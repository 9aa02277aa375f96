"""Small helpers that need nothing else of the package."""

from .paths import find_config
from .quiet import quiet_imports

__all__ = ['find_config', 'quiet_imports']
