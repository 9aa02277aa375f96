"""Disk cache of class embeddings."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

CACHE_VARIABLE = 'LORE_CACHE'
_KEY = 'embeddings'
_VERSION = 1  # raise it when the computation changes
_warned_folders: set[Path] = set()


def cache_folder() -> Path:
    """``$LORE_CACHE``, else ``~/.cache/lore_mm``."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path('~/.cache/lore_mm').expanduser()


def cache_file(
    identity: str, names: Sequence[str], templates: Sequence[str]
) -> Path:
    """File of one result: a hash of all that it depends on."""
    facts = [_VERSION, identity, list(names), list(templates)]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return cache_folder() / 'class_embeddings' / f'{digest}.safetensors'


def read_cache(file: Path, num_classes: int) -> Tensor | None:
    """Embeddings (K, d_q) in ``file``; None if absent or damaged."""
    try:
        value = load(file.read_bytes())[_KEY]
    except FileNotFoundError:
        return None
    except (SafetensorError, KeyError, OSError) as error:
        value, reason = None, str(error)
    else:
        reason = f'shape {tuple(value.shape)}'
    if value is None or value.ndim != 2 or len(value) != num_classes:
        print_log(
            f'Cached class embeddings {file} are damaged ({reason}); '
            'computing them again.',
            logger='current',
            level=logging.WARNING,
        )
        return None
    return value


def write_cache(file: Path, embeddings: Tensor) -> None:
    """Write ``embeddings`` so that a reader sees all of them or none.

    A folder that cannot be written is told once and costs nothing else.
    """
    partial = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=file.parent, suffix='.tmp')
        with os.fdopen(handle, 'wb') as stream:
            stream.write(save({_KEY: embeddings.contiguous()}))
        os.replace(partial, file)
    except OSError as error:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)
        if file.parent not in _warned_folders:
            _warned_folders.add(file.parent)
            print_log(
                f'Class embeddings are not cached, {file.parent} cannot be '
                f'written ({error}); set {CACHE_VARIABLE} to another folder.',
                logger='current',
                level=logging.WARNING,
            )
