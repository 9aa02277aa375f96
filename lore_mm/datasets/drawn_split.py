"""The seeded split of an image folder: drawn, and checked when read again."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from .sampling import PARTS, part_sizes, seeded_order
from .split_folders import list_names


def check_ratio(split_ratio: Sequence[float]) -> tuple[float, ...]:
    """Return shares of train, val and test as a tuple.

    Raises:
        ValueError: They are not three positive numbers that sum to 1.
    """
    ratio = tuple(split_ratio)
    if (
        len(ratio) != len(PARTS)
        or min(ratio) <= 0
        or not math.isclose(math.fsum(ratio), 1, abs_tol=1e-6)
    ):
        raise ValueError(
            'split_ratio must be three positive numbers (train, val, test) '
            f'that sum to 1, got {split_ratio!r}.'
        )
    return ratio


def draw_split(
    images: Mapping[str, Sequence[str]],
    parts: Sequence[str],
    split_ratio: Sequence[float],
    seed: int,
) -> dict[str, list[str]]:
    """Share the images of each class out among parts.

    Args:
        images (Mapping[str, Sequence[str]]): Names of the images of each
            class folder.
        parts (Sequence[str]): The parts to draw, some of ``PARTS``.
        split_ratio (Sequence[float]): Shares of all ``PARTS``.
        seed (int): The seed.

    Returns:
        dict[str, list[str]]: Names of the images of each part, class after
        class; at least one image of each class.

    Raises:
        ValueError: A class has fewer images than there are parts.
    """
    ratios = [split_ratio[PARTS.index(part)] for part in parts]
    split: dict[str, list[str]] = {part: [] for part in parts}
    for folder, names in images.items():
        if len(names) < len(parts):
            raise ValueError(
                f'class {folder!r} has {len(names)} images, too few '
                f'for {" + ".join(parts)}; it needs at least one each. '
                f'Add images, or leave the class out.'
            )
        order = seeded_order(names, seed, salt='split')
        start = 0
        sizes = part_sizes(len(names), ratios)
        for part, size in zip(parts, sizes, strict=True):
            chosen = sorted(order[start : start + size])
            split[part] += [names[i] for i in chosen]
            start += size
    return split


def check_listed(
    path: str | Path,
    stored: Mapping[str, Sequence[str]],
    names: Sequence[str],
    parts: Sequence[str],
    root: str | Path,
) -> None:
    """Refuse a split file that does not list a folder's images once each.

    Args:
        path (str | Path): The file, for the message.
        stored (Mapping): What it holds.
        names (Sequence[str]): The images in the folder.
        parts (Sequence[str]): The parts that the file must have.
        root (str | Path): The folder, for the message.

    Raises:
        ValueError: A part is missing, or an image is listed twice, not listed
            or not there.
    """
    if not all(stored.get(part) for part in parts):
        raise ValueError(
            f"split_file '{path}' must list images under {', '.join(parts)}."
        )
    listed = [name for part in parts for name in stored[part]]
    lost = sorted(set(listed) - set(names))
    new = sorted(set(names) - set(listed))
    twice = sorted(name for name, n in Counter(listed).items() if n > 1)
    faults = [
        f'{what}: {list_names(some, 3)}'
        for what, some in (
            ('listed but not in the folder', lost),
            ('in the folder but not listed', new),
            ('listed twice', twice),
        )
        if some
    ]
    if faults:
        raise ValueError(
            f"split_file '{path}' does not match '{root}': "
            f'{"; ".join(faults)}. Restore the images, or delete the file to '
            'split anew.'
        )
