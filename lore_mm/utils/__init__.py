"""Small helpers that need nothing else of the package."""

from .paths import config_roots, find_config, find_tool
from .quiet import quiet_imports

__all__ = ['config_roots', 'find_config', 'find_tool', 'quiet_imports']
