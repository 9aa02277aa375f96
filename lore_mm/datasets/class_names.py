"""Class names: from folder names to words that a text encoder can read."""

import difflib
import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r'^\d+[.\-_ ]+(?=\S)')


def readable_name(raw: str) -> str:
    """Turn a folder's name into plain words.

    ``'001.Black_footed_Albatross'`` becomes ``'Black footed Albatross'``. A
    name that holds nothing but the number is kept as it is.
    """
    words = _NUMBER.sub('', raw).replace('_', ' ').split()
    return ' '.join(words) or raw


def readable_names(raw: Iterable[str]) -> tuple[str, ...]:
    """Clean many names; two that would become equal stay as they were."""
    raw = tuple(raw)
    clean = tuple(map(readable_name, raw))
    return tuple(
        old if clean.count(new) > 1 else new
        for old, new in zip(raw, clean, strict=True)
    )


def checked_names(given: Sequence[str] | None, found: Sequence[str]) -> tuple:
    """Choose between names given by the user and names found in the data.

    Args:
        given (Sequence[str], optional): ``metainfo['classes']``, in label
            order.
        found (Sequence[str]): Raw names in the data, in label order.

    Raises:
        ValueError: If the two do not have the same length.
    """
    if given is None:
        return readable_names(found)
    if len(given) != len(found):
        raise ValueError(
            f'{len(given)} class names were given, but the data has '
            f'{len(found)} classes: {", ".join(found)}.'
        )
    return tuple(given)


def suggest(wrong: str, known: Iterable[str]) -> str:
    """End of an error message: the known names nearest to a wrong one."""
    known = list(known)
    near = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    if near:
        return f'Did you mean {" or ".join(map(repr, near))}?'
    more = ', ...' if len(known) > 5 else ''
    return f'Known: {", ".join(map(repr, known[:5]))}{more}.'
