"""Class embeddings from a file."""

import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lore_mm.registry import MODELS

from .base import KnowledgeEncoder, hash_path

_NAMES = 'names'
_MAX_NAMED = 10  # how many names an error lists before it only counts them
_READ_ERRORS = (
    SafetensorError,
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
)


@MODELS.register_module()
class EmbeddingFile(KnowledgeEncoder):
    """Class embeddings that were computed elsewhere.

    The file holds either one vector per class name, or one array (K, d_q)
    and its K ``names``. In safetensors, which stores tensors only, ``names``
    is a JSON list in the file's metadata. More classes than needed may be
    there; templates are not used.

    Args:
        path (str): A ``.npz``, ``.safetensors``, ``.json``, or a torch file
            ``.pt`` / ``.pth`` that loads with ``weights_only=True``.
        aligned_with_images (bool): The vectors come from the text tower of
            the Black Box's own CLIP. Defaults to False.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another format, damaged, not the layout above, a class
            without embedding.
    """

    from_templates = False

    def __init__(self, path: str, aligned_with_images: bool = False) -> None:
        self.path = Path(path).expanduser()
        self.aligned_with_images = aligned_with_images
        if not self.path.is_file():
            raise FileNotFoundError(
                f'file of class embeddings {path!r} does not exist.'
            )
        if self.path.suffix not in _READERS:
            raise ValueError(
                f'class embeddings must be in one of {sorted(_READERS)}, got '
                f'{str(path)!r}.'
            )

    def identity(self) -> str:
        """See :meth:`KnowledgeEncoder.identity`."""
        return json.dumps([type(self).__name__, hash_path(self.path)])

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Look the class names up: (n, d_q)."""
        vectors = self._read()
        missing = [name for name in texts if name not in vectors]
        if missing:
            raise ValueError(
                f'{str(self.path)!r} has no embedding for {len(missing)} of '
                f'{len(texts)} classes: {_listed(missing)}. It has '
                f'{_listed(list(vectors))}. Add the missing ones, or name the '
                'classes of the data set as in the file, or use a text '
                'encoder (lore_mm.SentenceEncoder, '
                'lore_mm.OpenCLIPTextEncoder).'
            )
        return torch.stack([vectors[name] for name in texts])

    def _read(self) -> dict[str, Tensor]:
        try:
            content = _READERS[self.path.suffix](self.path)
        except pickle.UnpicklingError as error:
            raise ValueError(
                f'{str(self.path)!r} holds objects other than tensors and '
                'was not unpickled.'
            ) from error
        except _READ_ERRORS as error:
            raise ValueError(
                f'{str(self.path)!r} is damaged or not a '
                f'{self.path.suffix} file: {error}'
            ) from error
        return _to_vectors(content, self.path)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMED
    tail = f' and {more} more' if more > 0 else ''
    return ', '.join(map(repr, names[:_MAX_NAMED])) + tail


# -- formats: each reader returns a mapping of str to arrays ------------------
def _read_npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _read_safetensors(path: Path) -> dict[str, Any]:
    with safe_open(path, framework='pt') as file:
        content: dict[str, Any] = {
            key: file.get_tensor(key) for key in file.keys()
        }
        names = (file.metadata() or {}).get(_NAMES)
    if names is not None:
        content[_NAMES] = json.loads(names)
    return content


def _read_torch(path: Path) -> Any:
    return torch.load(path, map_location='cpu', weights_only=True)


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding='utf-8'))


_READERS: dict[str, Callable[[Path], Any]] = {
    '.npz': _read_npz,
    '.safetensors': _read_safetensors,
    '.pt': _read_torch,
    '.pth': _read_torch,
    '.json': _read_json,
}


def _to_vectors(content: Any, path: Path) -> dict[str, Tensor]:
    """Both layouts as name -> vector (d_q,), checked."""
    if not isinstance(content, Mapping) or not content:
        raise ValueError(
            f'{str(path)!r} must hold a mapping of class names to vectors, '
            f'or an array and its names; got {type(content).__name__}.'
        )
    content = dict(content)
    names = content.get(_NAMES)
    if names is not None and _is_names(names):
        content = _from_array(content, path)
    vectors = {
        str(name): _to_tensor(value, f'{str(path)!r}, {name!r}')
        for name, value in content.items()
    }
    sizes = sorted({tuple(vector.shape) for vector in vectors.values()})
    if len(sizes) != 1 or len(sizes[0]) != 1:
        raise ValueError(
            f'{str(path)!r} must hold vectors of one length, got shapes '
            f'{sizes}.'
        )
    return vectors


def _is_names(value: Any) -> bool:
    """Whether ``names`` lists names, or is the vector of a class "names"."""
    return len(value) > 0 and isinstance(value[0], str)


def _from_array(content: dict[str, Any], path: Path) -> dict[str, Any]:
    names = [str(name) for name in content.pop(_NAMES)]
    if len(content) != 1:
        raise ValueError(
            f'{str(path)!r} must hold one array beside {_NAMES!r}, got '
            f'{sorted(content)}.'
        )
    array = _to_tensor(next(iter(content.values())), str(path))
    if array.ndim != 2 or len(array) != len(names):
        raise ValueError(
            f'{str(path)!r} must hold an array of {len(names)} rows, one for '
            f'each name, got shape {tuple(array.shape)}.'
        )
    if len(set(names)) != len(names):
        raise ValueError(f'{str(path)!r} names a class twice.')
    return dict(zip(names, array, strict=True))


def _to_tensor(value: Any, where: str) -> Tensor:
    try:
        return torch.as_tensor(value).float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f'{where} must be an array of numbers: {error}'
        ) from error
