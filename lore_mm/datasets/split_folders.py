"""Which folders of an image folder are its parts, and which its classes."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mmpretrain.datasets.custom import find_folders

from .loading import IMAGE_SUFFIXES, is_hidden
from .sampling import PARTS

_WORDS = {
    'train': 'train',
    'training': 'train',
    'val': 'val',
    'valid': 'val',
    'validation': 'val',
    'dev': 'val',
    'eval': 'val',
    'evaluation': 'val',
    'test': 'test',
    'testing': 'test',
}
_VAL_NAMES = ('val', 'valid', 'validation')  # all are read
_RENAME = 'rename them to train/, val/ and test/'


def list_names(names: Sequence[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more


def class_folders(folder: Path) -> list[str]:
    """Names of the sub-folders that are not hidden, sorted."""
    if not folder.is_dir():
        return []
    names = find_folders(str(folder))[0]
    return [name for name in names if not is_hidden(name)]


def part_folders(root: Path) -> dict[str, str]:
    """Names of the folders that hold whole parts.

    Args:
        root (Path): A folder for :class:`ImageFolder`.

    Returns:
        dict[str, str]: ``train`` and what is beside it of ``val`` and
        ``test``; empty where ``root`` holds the classes.

    Raises:
        ValueError: Folders hold parts by their names, but not by those that
            are read: they would be left out, or taken for classes.
    """
    names = class_folders(root)
    # Not is_dir(): some file systems take Train/ for train/.
    if 'train' not in names or not class_folders(root / 'train'):
        _check_classes(root, names)
        return {}
    vals = [name for name in _VAL_NAMES if name in names]
    if len(vals) > 1:
        raise ValueError(
            f"'{root}' has {_slashed(vals)}, and one part for validation: "
            'move the other away.'
        )
    own = dict(train=['train'], val=vals, test=['test'])
    parts = {
        part: name
        for part, found in own.items()
        for name in found
        if name in names
    }
    others = [n for n in names if n not in parts.values() and _part(n)]
    others = [name for name in others if _holds_classes(root / name)]
    if others:
        raise ValueError(
            f"'{root}' has {_slashed(others)} beside train/, which would not "
            f'be used: {_RENAME}, or move them away.'
        )
    return parts


def check_folders(
    root: Path, found: Sequence[str], wanted: Sequence[str], some: bool
) -> None:
    """Refuse class folders that are not those that labels stand for.

    Args:
        root (Path): Where they are, for the message.
        found (Sequence[str]): Their names.
        wanted (Sequence[str]): The names by label.
        some (bool): Whether some of them will do.

    Raises:
        ValueError: A folder is unknown or missing; the message names it.
    """
    faults = {
        'unknown': [name for name in found if name not in wanted],
        'missing': [name for name in wanted if name not in found],
    }
    if some and found:
        del faults['missing']
    told = [
        f'{fault}: {list_names(names)}'
        for fault, names in faults.items()
        if names
    ]
    if told:
        raise ValueError(
            f"the class folders in '{root}' are not those that the labels "
            f'stand for ({"; ".join(told)}). Give them those names (folders '
            'of the data set), or train anew for other classes.'
        )


def check_inner_parts(folder: Path, files: Sequence[str]) -> None:
    """Refuse a class folder that holds parts in the place of images.

    Args:
        folder (Path): The class folder.
        files (Sequence[str]): Its images, below it.

    Raises:
        ValueError: Two of its sub-folders are named for parts.
    """
    inner = sorted({name.split('/')[0] for name in files if '/' in name})
    inner = [name for name in inner if _part(name)]
    if len({_part(name) for name in inner}) > 1:
        raise ValueError(
            f"class folder '{folder}' holds {_slashed(inner)}, which would be "
            'mixed: give this folder as data_root if the classes are inside, '
            'or put the parts on top (train/CLASS/, test/CLASS/).'
        )


def _part(name: str) -> str | None:
    """The part that a folder's name stands for: ``Test_set`` is the test."""
    words = [word for word in re.split(r'[\W_]+', name.lower()) if word]
    if len(words) > 1 and words[-1] in ('set', 'data', 'images'):
        words.pop()
    return _WORDS.get(words[0]) if len(words) == 1 else None


def _check_classes(root: Path, names: Sequence[str]) -> None:
    """Refuse parts that would become classes."""
    parts = [name for name in names if _part(name)]
    whole = [name for name in parts if _holds_classes(root / name)]
    if whole:
        lost = '' if 'train' in map(_part, parts) else ' and no train/'
        raise ValueError(
            f"'{root}' has {_slashed(whole)} with folders of images inside"
            f'{lost}; these would be taken for classes. If they are parts, '
            f'{_RENAME}; if classes, put their images right inside.'
        )
    if len(names) > 1 and len(parts) == len(names):
        raise ValueError(
            f"'{root}' has {_slashed(parts)} without class folders; these "
            'would be taken for the classes. Put the images of each class '
            f'in a folder of its own: {PARTS[0]}/CLASS/.'
        )


def _holds_classes(folder: Path) -> bool:
    """Whether a sub-folder holds an image, at any depth."""
    return any(
        Path(file).suffix.lower() in IMAGE_SUFFIXES and not is_hidden(file)
        for name in class_folders(folder)
        for _, _, files in os.walk(folder / name, followlinks=True)
        for file in files
    )


def _slashed(names: Sequence[str]) -> str:
    return ' and '.join(f'{name}/' for name in names)
