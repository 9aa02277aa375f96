"""Class embeddings: names and templates through an encoder, once."""

from collections import Counter
from collections.abc import Sequence

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log
from torch import Tensor
from torch.nn.functional import normalize

from lore_mm.registry import MODELS
from lore_mm.utils import SetupError

from .base import KnowledgeEncoder
from .cache import cache_file, read_cache, write_cache
from .templates import DEFAULT_TEMPLATE, TEMPLATES

_SLOT = '{}'
# What a wrong config, an absent file or a broken model may raise.
_FAILURES = (
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    OSError,
    ImportError,
)


def build_class_embeddings(
    cfg: dict,
    class_names: Sequence[str],
    templates: str | Sequence[str] = DEFAULT_TEMPLATE,
) -> Tensor:
    """Compute or read the text embedding of each class (LORE, Eq. (5), q).

    Each template is filled with each name (underscores become spaces),
    encoded and L2-normalised; the mean over templates is L2-normalised. The
    result is cached under a hash of encoder, names and templates. In
    distributed runs rank 0 works and the others receive.

    Args:
        cfg (dict): Config of an encoder, as
            ``dict(type='lore_mm.SentenceEncoder')``.
        class_names (Sequence[str]): K names, in the order of the labels.
        templates (str | Sequence[str]): One template or several, each with
            one ``{}``; or a key of ``TEMPLATES``. Defaults to
            ``'This is a photo of a {}.'``.

    Returns:
        Tensor: float32 (K, d_q) on the CPU, rows of length 1.

    Raises:
        ValueError: No names, a name twice, a template without ``{}``, or an
            encoder that returns unusable vectors. The encoders add their own.
    """
    names = _check_names(class_names)
    filled = _check_templates(templates)
    # An error of rank 0 is sent too: the others must not wait for ever.
    message: list = [None, None]
    failure: Exception | None = None
    if is_main_process():
        try:
            message[0] = _compute(cfg, names, filled)
        except _FAILURES as error:
            failure = error
            message[1] = f'{type(error).__name__}: {error}'
    broadcast_object_list(message)
    if failure is not None:
        raise failure
    if message[1] is not None:
        raise SetupError(f'class embeddings failed on rank 0: {message[1]}')
    return message[0]


def is_aligned_with_images(cfg: dict) -> bool:
    """Whether an encoder's embeddings share CLIP's image space.

    Args:
        cfg (dict): Config of an encoder.
    """
    default = getattr(MODELS.get(cfg['type']), 'aligned_with_images', False)
    return bool(cfg.get('aligned_with_images', default))


def _check_names(class_names: Sequence[str]) -> list[str]:
    if isinstance(class_names, str):
        raise ValueError(
            f'class_names must be a list of names, got {class_names!r}.'
        )
    names = list(class_names)
    if not names:
        raise ValueError(
            'class_names must not be empty: knowledge needs the name of each '
            'class; give them in the config or in the data set.'
        )
    unnamed = [name for name in names if not str(name).strip()]
    if unnamed or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f'class_names must be non-empty strings, got {names!r}.'
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f'class_names must differ from each other, twice: {twice!r}.'
        )
    return names


def _check_templates(templates: str | Sequence[str]) -> list[str]:
    if isinstance(templates, str):
        templates = TEMPLATES.get(templates, (templates,))
    templates = list(templates)
    if not templates:
        raise ValueError('templates must not be empty.')
    for template in templates:
        if template.count(_SLOT) != 1:
            raise ValueError(
                f'a template must have one "{_SLOT}" for the class name, got '
                f'{template!r}; e.g. {DEFAULT_TEMPLATE!r}, or one of '
                f'{sorted(TEMPLATES)}.'
            )
    return templates


def _compute(cfg: dict, names: list[str], templates: list[str]) -> Tensor:
    encoder: KnowledgeEncoder = MODELS.build(cfg)
    if not isinstance(encoder, KnowledgeEncoder):
        raise ValueError(
            'knowledge must be the config of a KnowledgeEncoder, got '
            f'{cfg["type"]!r}.'
        )
    kind = type(encoder).__name__
    if not encoder.from_templates:
        result = _unit_rows(encoder.encode(names), names, kind)
        _log(result, kind, 'read')
        return result
    file = cache_file(encoder.identity(), names, templates)
    result = read_cache(file, len(names))
    if result is not None:
        _log(result, kind, f'cached in {file}')
        return result
    texts = [
        template.replace(_SLOT, name.replace('_', ' '))
        for template in templates
        for name in names
    ]
    vectors = _unit_rows(encoder.encode(texts), texts, kind)  # (T * K, d_q)
    mean = vectors.unflatten(0, (len(templates), len(names))).mean(0)
    result = _unit_rows(mean, names, kind)  # (K, d_q)
    write_cache(file, result)
    _log(result, kind, 'computed')
    return result


def _unit_rows(vectors: Tensor, texts: list[str], kind: str) -> Tensor:
    """L2-normalise the rows; a zero or non-finite row is an error."""
    vectors = vectors.detach().float().cpu()
    lengths = vectors.norm(dim=-1)
    bad = ~torch.isfinite(lengths) | (lengths == 0)
    if bad.any():
        first = texts[int(bad.nonzero()[0])]
        raise ValueError(
            f'{kind} gives {int(bad.sum())} embeddings that are zero or not '
            f'finite, the first for {first!r}.'
        )
    return normalize(vectors, dim=-1)


def _log(result: Tensor, kind: str, how: str) -> None:
    classes, dims = result.shape
    print_log(
        f'Class embeddings: {classes} x {dims} of {kind}, {how}.',
        logger='current',
    )
