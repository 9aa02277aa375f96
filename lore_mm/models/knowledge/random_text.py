"""Random class vectors: the control for knowledge."""

import hashlib
import json
from collections.abc import Sequence

import torch
from torch import Tensor

from lore_mm.registry import MODELS

from .base import KnowledgeEncoder


@MODELS.register_module()
class RandomTextEncoder(KnowledgeEncoder):
    """A fixed random vector for each text: no knowledge, same shapes.

    For ablations (does the meaning of the names help?) and for building a
    config without any text model.

    Args:
        embed_dims (int): Size ``d_q`` of the vectors.
        seed (int): Defaults to 0.
    """

    def __init__(self, embed_dims: int, seed: int = 0) -> None:
        if embed_dims < 1:
            raise ValueError(
                f'embed_dims must be at least 1, got {embed_dims}.'
            )
        self.embed_dims = embed_dims
        self.seed = seed

    def identity(self) -> str:
        """See :meth:`KnowledgeEncoder.identity`."""
        return json.dumps([type(self).__name__, self.embed_dims, self.seed])

    def encode(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`KnowledgeEncoder.encode`."""
        return torch.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Tensor:
        digest = hashlib.sha256(f'{self.seed}|{text}'.encode()).digest()
        seed = int.from_bytes(digest[:7], 'big')
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(self.embed_dims, generator=generator)
