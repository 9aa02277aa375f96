"""Read a config, and tell in one line why one cannot be read."""

import os
from pathlib import Path

from mmengine.config import Config

from lore_mm.utils import find_config

from .config_keys import ConfigError
from .failures import error_line

_SIZE = 'LORE_IMG_SIZE'


def read_config_file(name: str | Path) -> Config:
    """Read a config by its path or name.

    Args:
        name (str | Path): See :func:`~lore_mm.utils.find_config`.

    Raises:
        FileNotFoundError: No such config; the message names near matches.
        ConfigError: What is in it, or in a base of it, cannot be run.
    """
    path = find_config(name)
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is code: it can raise anything
        text = error_line(error)
        if isinstance(error, SyntaxError):  # mmengine knows no file there
            text = text.replace('<unknown>, ', '')
            text = f'syntax error, here or in a _base_ of it: {text}'
        size = os.environ.get(_SIZE)  # most configs read it
        note = f' ({_SIZE} is {size!r})' if size else ''
        raise ConfigError(f'{path}: {text}{note}') from error
