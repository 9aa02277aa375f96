"""What turns text into embeddings, and how it is identified."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

_CHUNK = 1 << 20  # bytes read at a time


class KnowledgeEncoder(ABC):
    """Source of class embeddings, used once before training.

    An encoder is cheap to construct: weights are read at the first
    :meth:`encode`, so that a cached result never builds them.

    Attributes:
        from_templates (bool): Whether :meth:`encode` wants filled templates.
            False: it wants the class names as they are, and nothing is cached.
        aligned_with_images (bool): Whether the embeddings live in the image
            space of a Black Box with a projection (CLIP), so that zero-shot
            prediction makes sense.
    """

    from_templates: bool = True
    aligned_with_images: bool = False

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embed ``n`` texts: float32 (n, d_q) on the CPU, any length."""

    @abstractmethod
    def identity(self) -> str:
        """All that the embeddings depend on: kind, model, weights.

        Weights are named by their content or by their tag, never by path or
        time, so that a moved file is still found in the cache.
        """


def hash_path(path: str | Path) -> str:
    """SHA-256 of a file's bytes, or of a folder's files by name.

    Hidden files and folders are left out.

    Args:
        path (str | Path): An existing file or folder.
    """
    path = Path(path)
    if path.is_file():
        return _hash_file(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob('*')):
        parts = file.relative_to(path).parts
        if file.is_file() and not any(p.startswith('.') for p in parts):
            line = f'{"/".join(parts)}|{_hash_file(file)}\n'
            digest.update(line.encode())
    return digest.hexdigest()


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
