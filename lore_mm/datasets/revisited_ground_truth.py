"""Ground truth of the revisited protocol: read, checked, asked."""

import io
import json
import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath

LISTS = ('easy', 'hard', 'junk')
_KEYS = ('gnd', 'imlist', 'qimlist')

# What a damaged pickle raises, one way or another.
_FAULTS = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)


class _CodeRefused(ValueError):
    """A pickle names a class or function."""


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, strings, lists, tuples, sets and dicts alone."""

    def find_class(self, module: str, name: str) -> None:
        raise _CodeRefused(f'{module}.{name}')

    def persistent_load(self, pid: object) -> None:
        raise _CodeRefused(f'the persistent object {pid!r}')


def read_ground_truth(path: str | Path) -> dict:
    """Read a ground truth in the format of revisited Oxford and Paris.

    Args:
        path (str | Path): A pickle, read without running anything in it, or
            the same content as JSON: ``imlist`` and ``qimlist`` with names,
            ``gnd`` with one dict for each query, which holds ``easy``,
            ``hard`` and ``junk`` (0-based indices into ``imlist``) and may
            hold ``bbx`` ([x1, y1, x2, y2] in pixels).

    Returns:
        dict: ``gnd``, ``imlist`` and ``qimlist``, checked.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no ground truth, is inconsistent, or is a
            pickle that would run code.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"ground truth '{path}' does not exist."
        ) from error
    is_json = data.lstrip()[:1] == b'{'
    try:
        content = json.loads(data) if is_json else _unpickle(data)
    except _CodeRefused as error:
        raise ValueError(
            f"ground truth '{path}' is refused: it names {error}, which could "
            f'run code when read; nothing was run. Save plain lists, or JSON.'
        ) from error
    except _FAULTS as error:
        raise ValueError(
            f"ground truth '{path}' is neither a pickle of plain lists nor "
            f'JSON: {error}.'
        ) from error
    try:
        check_ground_truth(content)
    except ValueError as error:
        raise ValueError(f"ground truth '{path}': {error}") from error
    return {key: content[key] for key in _KEYS}


def _unpickle(data: bytes) -> object:
    return _PlainUnpickler(io.BytesIO(data)).load()


def check_ground_truth(content: object) -> None:
    """Raise ``ValueError`` unless a ground truth is complete and consistent.

    See :func:`read_ground_truth` for the format.
    """
    if not isinstance(content, Mapping):
        raise ValueError(
            f'it must be a dict with {", ".join(_KEYS)}, got a '
            f'{type(content).__name__}.'
        )
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise ValueError(f'it lacks {", ".join(missing)}.')
    gnd, images, queries = (content[key] for key in _KEYS)
    for key in ('qimlist', 'imlist', 'gnd'):
        if not isinstance(content[key], list | tuple) or not content[key]:
            raise ValueError(
                f'{key} must be a list that is not empty, got '
                f'{content[key]!r:.80}; there must be a query and an image.'
            )
    for key, names in (('imlist', images), ('qimlist', queries)):
        wrong = [name for name in names if not isinstance(name, str)]
        if wrong:
            raise ValueError(f'{key} must hold names, got {wrong[0]!r}.')
    if len(gnd) != len(queries):
        raise ValueError(
            f'gnd has {len(gnd)} entries for {len(queries)} queries.'
        )
    for query, entry in enumerate(gnd):
        _check_entry(query, entry, len(images))
    if not any(entry['easy'] or entry['hard'] for entry in gnd):
        raise ValueError('no query has a positive: nothing can be scored.')


def _check_entry(query: int, entry: object, num_images: int) -> None:
    """Lists of one query: integers in range, no image twice."""
    if not isinstance(entry, Mapping):
        raise ValueError(f'gnd[{query}] must be a dict, got {entry!r:.80}.')
    seen: dict[int, str] = {}
    for name in LISTS:
        indices = entry.get(name)
        if not isinstance(indices, list | tuple):
            raise ValueError(
                f'gnd[{query}] needs the list {name!r}, got {indices!r:.80}.'
            )
        for index in indices:
            if not isinstance(index, int):
                raise ValueError(
                    f'gnd[{query}][{name!r}] must hold integers, got '
                    f'{index!r:.80}.'
                )
            if not 0 <= index < num_images:
                raise ValueError(
                    f'gnd[{query}][{name!r}] names the image {index}, but '
                    f'imlist has {num_images} names (0 to {num_images - 1}).'
                )
            if index in seen:
                raise ValueError(
                    f'gnd[{query}] names the image {index} twice, in '
                    f'{seen[index]!r} and {name!r}.'
                )
            seen[index] = name
    if entry.get('bbx') is not None:
        _check_box(query, entry['bbx'])


def _check_box(query: int, box: object) -> None:
    """A box [x1, y1, x2, y2] with an area."""
    if (
        not isinstance(box, list | tuple)
        or len(box) != 4
        or not all(isinstance(x, int | float) for x in box)
        or not all(math.isfinite(x) for x in box)
        or box[0] >= box[2]
        or box[1] >= box[3]
    ):
        raise ValueError(
            f'gnd[{query}]["bbx"] must be [x1, y1, x2, y2] with x1 < x2 and '
            f'y1 < y2, got {box!r:.80}.'
        )


def relevance(
    truth: str | Path | Mapping,
) -> Callable[[str | Path, str | Path], bool | None]:
    """Whether an image answers a query, as a function of their paths.

    Args:
        truth (str | Path | Mapping): A ground truth, or its file.

    Returns:
        Callable: ``(query, image) -> bool | None``: True for easy and hard
        ones, None for junk and for images or queries that the ground truth
        does not know. A path is known by its end, without the extension.
    """
    if not isinstance(truth, Mapping):
        truth = read_ground_truth(truth)
    queries, images = map(_by_end, (truth['qimlist'], truth['imlist']))
    gnd = truth['gnd']

    def relevant(query: str | Path, image: str | Path) -> bool | None:
        entry, index = queries(query), images(image)
        if entry is None or index is None or index in gnd[entry]['junk']:
            return None
        return index in gnd[entry]['easy'] or index in gnd[entry]['hard']

    return relevant


def _by_end(names: Sequence[str]) -> Callable[[str | Path], int | None]:
    """Index of the name that a path ends in."""
    known = {PurePath(name).parts: i for i, name in enumerate(names)}
    depths = sorted({len(parts) for parts in known}, reverse=True)

    def find(path: str | Path) -> int | None:
        parts = PurePath(path).parts
        parts = (*parts[:-1], PurePath(path).stem)
        for depth in depths:
            if parts[-depth:] in known:
                return known[parts[-depth:]]
        return None

    return find
