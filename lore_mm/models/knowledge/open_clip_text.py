"""Text tower of an open_clip model."""

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import open_clip
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from lore_mm.registry import MODELS
from lore_mm.utils import SetupError

from .base import KnowledgeEncoder, hash_path

_LOCAL_DIR = 'local-dir:'
_HUB = 'hf-hub:'
# What open_clip, torch and safetensors raise on absent or damaged weights.
_LOAD_ERRORS = (
    pickle.UnpicklingError,
    SafetensorError,
    RuntimeError,
    ValueError,
    KeyError,
    EOFError,
    OSError,
    StopIteration,
)


@MODELS.register_module()
class OpenCLIPTextEncoder(KnowledgeEncoder):
    """Text embeddings of CLIP, in CLIP's image-text space.

    Only the text tower is kept. To go with a CLIP Black Box, name the same
    CLIP here: then the Black Box can predict zero-shot.

    Args:
        model_name (str): A name of ``open_clip.list_models()``, or
            ``local-dir:<folder>`` or ``hf-hub:<repo>`` with open_clip's files.
            OpenAI's weights need a name that ends in ``-quickgelu``.
        pretrained (str, optional): A tag of open_clip, downloaded.
        checkpoint (str, optional): A local file of the whole CLIP instead:
            safetensors, or a torch file that loads with ``weights_only``.
        batch_size (int): Texts per forward pass. Defaults to 64.
        device (str): Where to encode. Defaults to ``'cpu'``.

    Raises:
        ValueError: No weights, or more than one source of weights, or a tag
            whose activation is not the model's.
        FileNotFoundError: The checkpoint or folder does not exist.
        SetupError: The weights cannot be read (at the first ``encode``).
    """

    aligned_with_images = True

    def __init__(
        self,
        model_name: str,
        pretrained: str | None = None,
        checkpoint: str | None = None,
        batch_size: int = 64,
        device: str = 'cpu',
    ) -> None:
        self.model_name = model_name
        self.pretrained = pretrained
        self.checkpoint = checkpoint
        self.batch_size = batch_size
        self.device = device
        self._model: nn.Module | None = None
        self._tokenizer: Callable[[list[str]], Tensor] | None = None
        self._check_source()

    def _check_source(self) -> None:
        """Exactly one source of weights, and it fits the model's config."""
        name = self.model_name
        in_name = name.startswith((_LOCAL_DIR, _HUB))
        sources = [in_name, bool(self.pretrained), bool(self.checkpoint)]
        if sum(sources) != 1:
            raise ValueError(
                'give one source of weights: pretrained=<tag>, '
                f'checkpoint=<file>, or a model_name with {_LOCAL_DIR!r} or '
                f'{_HUB!r}; got model_name={name!r}, '
                f'pretrained={self.pretrained!r}, '
                f'checkpoint={self.checkpoint!r}.'
            )
        if not in_name and open_clip.get_model_config(name) is None:
            raise ValueError(
                f'model_name {name!r} is not known to open_clip; see '
                'open_clip.list_models().'
            )
        local = self._local_path()
        if local is not None and not local.exists():
            raise FileNotFoundError(
                f'weights of the text encoder {str(local)!r} do not exist; '
                'give a local file or folder, or pretrained=<tag> to download.'
            )
        if self.pretrained:
            self._check_activation()

    def _check_activation(self) -> None:
        """OpenAI's weights under a plain name would run with another GELU."""
        tag = open_clip.get_pretrained_cfg(self.model_name, self.pretrained)
        if not tag:
            raise ValueError(
                f'pretrained must be a tag of {self.model_name!r}, one of '
                f'{open_clip.list_pretrained_tags_by_model(self.model_name)}, '
                f'got {self.pretrained!r}; a local file goes to checkpoint.'
            )
        config = open_clip.get_model_config(self.model_name)
        wanted = bool(tag.get('quick_gelu', False))
        if wanted != bool(config.get('quick_gelu', False)):
            raise ValueError(
                f'the tag {self.pretrained!r} was trained with '
                f'quick_gelu={wanted}, {self.model_name!r} runs another '
                'activation; use the model name '
                f'{"with" if wanted else "without"} "-quickgelu".'
            )

    def _local_path(self) -> Path | None:
        if self.checkpoint:
            return Path(self.checkpoint).expanduser()
        if self.model_name.startswith(_LOCAL_DIR):
            return Path(self.model_name.removeprefix(_LOCAL_DIR))
        return None

    def identity(self) -> str:
        """See :meth:`KnowledgeEncoder.identity`."""
        name, config = self.model_name, None
        if name.startswith(_LOCAL_DIR):
            name = _LOCAL_DIR
        elif not name.startswith(_HUB):
            config = open_clip.get_model_config(name)
        local = self._local_path()
        weights = hash_path(local) if local else self.pretrained
        facts = [type(self).__name__, name, config, weights]
        return json.dumps(facts, sort_keys=True)

    def _load(self) -> None:
        source = self.checkpoint or self.pretrained
        if self.checkpoint:
            source = str(Path(self.checkpoint).expanduser())
        try:
            model = open_clip.create_model(
                self.model_name, pretrained=source, require_pretrained=True
            )
            tokenizer = open_clip.get_tokenizer(self.model_name)
        except _LOAD_ERRORS as error:
            raise SetupError(
                f'the text tower of {self.model_name!r} could not be loaded '
                f'from {source or self.model_name!r}: {error}\nWithout a '
                'network give checkpoint=<local file of the whole CLIP>, or '
                'take another knowledge encoder.'
            ) from error
        del model.visual  # never needed for text
        model.requires_grad_(False)
        self._model = model.eval().to(self.device)
        self._tokenizer = tokenizer

    def tower(self) -> tuple[nn.Module, Callable[[list[str]], Tensor]]:
        """The frozen CLIP without its image tower, and its tokenizer."""
        if self._model is None:
            self._load()
        return self._model, self._tokenizer

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`KnowledgeEncoder.encode`."""
        if self._model is None:
            self._load()
        parts = []
        for start in range(0, len(texts), self.batch_size):
            batch = list(texts[start : start + self.batch_size])
            tokens = self._tokenizer(batch).to(self.device)
            parts.append(self._model.encode_text(tokens).float().cpu())
        return torch.cat(parts)  # (n, d_q)
