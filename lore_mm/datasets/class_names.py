"""Class names: from folder names to words that a text encoder can read."""

import difflib
import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r'^\d+[.\-_ ]+(?=\S)')
# An index that a data set puts before its names, not a part of the name.
_INDEX = re.compile(r'^\d+\.[.\-_ ]*(?=\S)')


def readable_name(raw: str, number: re.Pattern = _INDEX) -> str:
    """Turn a folder's name into plain words.

    ``'001.Black_footed_Albatross'`` becomes ``'Black footed Albatross'``. A
    name that holds nothing but the number is kept as it is.

    Args:
        raw (str): The name.
        number (re.Pattern): What to leave out at its beginning; an index with
            a point by default.
    """
    words = number.sub('', raw).replace('_', ' ').split()
    return ' '.join(words) or raw


def readable_names(raw: Iterable[str]) -> tuple[str, ...]:
    """Clean many names; two that would become equal stay as they were.

    Numbers before ``_``, ``-`` or a space are an index, and left out, where
    each name has one of its own before a word: ``01_cat, 02_dog``, but not
    ``737-200, 737-300`` or ``2_wheeler, truck``.
    """
    raw = tuple(raw)
    starts = [_NUMBER.match(name) for name in raw]
    found = {start[0] for start in starts if start}
    indexed = len(found) == len(raw) and all(
        name[start.end()].isalpha()
        for name, start in zip(raw, starts, strict=True)
    )
    number = _NUMBER if indexed else _INDEX
    clean = tuple(readable_name(name, number) for name in raw)
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
        ValueError: If the two do not have the same length, or the names are
            those of the data in another order, which would swap classes.
    """
    readable = readable_names(found)
    if given is None:
        return readable
    given = tuple(given)
    if len(given) != len(found):
        raise ValueError(
            f'{len(given)} class names were given, but the data has '
            f'{len(found)} classes: {", ".join(found)}.'
        )
    for known in (tuple(found), readable):
        if given != known and sorted(given) == sorted(known):
            label = next(i for i, name in enumerate(given) if name != known[i])
            raise ValueError(
                f'the class names that were given are those of the data in '
                f'another order: label {label} is {given[label]!r} there and '
                f'{known[label]!r} in the data. Give them in the order of the '
                f'data, or leave them out: {", ".join(known)}.'
            )
    return given


def suggest(wrong: str, known: Iterable[str]) -> str:
    """End of an error message: the known names nearest to a wrong one."""
    known = list(known)
    near = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    if near:
        return f'Did you mean {" or ".join(map(repr, near))}?'
    more = ', ...' if len(known) > 5 else ''
    return f'Known: {", ".join(map(repr, known[:5]))}{more}.'


def class_difference(
    known: Sequence[str],
    found: Sequence[str],
    names: tuple[str, str],
    places: tuple[str, str],
    verb: str = 'has',
) -> str | None:
    """Say how two lists of classes differ, for a message.

    Args:
        known (Sequence[str]): Classes by label that were trained on.
        found (Sequence[str]): Those to compare.
        names (tuple[str, str]): Whose they are: ``('train', 'val')``.
        places (tuple[str, str]): Where a class is: ``('in train', 'in val')``.
        verb (str): Between the first name and its number of classes.

    Returns:
        str | None: Their numbers, or the first class that differs; None
        where they are the same.
    """
    (first, second), (there, here) = names, places
    if len(known) != len(found):
        return (
            f'{first} {verb} {len(known)} classes, {second} has {len(found)}'
        )
    for i, (one, other) in enumerate(zip(known, found, strict=True)):
        if one != other:
            return (
                f'{first} and {second} have {len(known)} classes, but class '
                f'{i} is {one!r} {there} and {other!r} {here}'
            )
    return None
