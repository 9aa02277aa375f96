"""What a misspelt option was most likely meant to be."""

import difflib
import inspect
import re
import traceback
from collections.abc import Iterable

import mmengine.runner

_UNEXPECTED = re.compile(
    r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'$"
)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that looks most like ``word``, if any does."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return near[0] if near else None


def meant_option(error: Exception) -> str:
    """The option that a type of a config has, where it got an unknown one.

    Args:
        error (Exception): Python's, as it was raised.

    Returns:
        str: Such as ``" (did you mean 'lr'?)"``; empty if ``error`` is
        another, or nothing is like the unknown option.
    """
    found = _UNEXPECTED.search(str(error))
    kind = _built_type(error, found[1]) if found else None
    if kind is None:
        return ''
    known: set[str] = set()
    for base in kind.__mro__[:-1]:  # they hand unknown ones on by **kwargs
        known.update(inspect.signature(base).parameters)
    meant = nearest(found[2], sorted(known))
    return f' (did you mean {meant!r}?)' if meant else ''


def _built_type(error: Exception, name: str) -> type | None:
    """The class that was made an object of; ``name`` may be a base of it.

    mmengine makes loops itself and all else by its registry.
    """
    kind = getattr(mmengine.runner, name, None)
    for frame, _ in traceback.walk_tb(error.__traceback__):
        kind = frame.f_locals.get('obj_cls', kind)
    return kind if inspect.isclass(kind) else None
