"""Seeded choices of images: pure functions over names and labels.

The order of images under a seed comes from SHA-256 over seed and name. So it
does not depend on the machine, the library version, the order of the files or
on which other images are there.
"""

import hashlib
import math
import os
from collections.abc import Sequence

PARTS = ('train', 'val', 'test')


def check_seed(seed: int) -> int:
    """Return ``seed``, or raise ValueError if it is no whole number >= 0."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f'seed must be an integer >= 0, got {seed!r}.')
    return seed


def check_part(
    part: str, parts: Sequence[str] = PARTS, name: str = 'split'
) -> str:
    """Return ``part``, or raise ValueError if it is not one of ``parts``."""
    if part not in parts:
        choices = ', '.join(map(repr, parts))
        raise ValueError(f'{name} must be one of {choices}, got {part!r}.')
    return part


def seeded_order(names: Sequence[str], seed: int, salt: str = '') -> list[int]:
    """Positions of ``names`` in a random order that the seed fixes.

    Args:
        names (Sequence[str]): One name per image.
        seed (int): The seed.
        salt (str): Makes two choices under one seed independent.
    """

    def key(i: int) -> tuple[bytes, int]:
        text = f'{salt}\n{seed}\n{names[i]}'
        return hashlib.sha256(text.encode()).digest(), i

    return sorted(range(len(names)), key=key)


def part_sizes(total: int, ratios: Sequence[float]) -> list[int]:
    """Share ``total`` images by ``ratios``, at least one to each part.

    Largest remainders first; ``total`` must be at least ``len(ratios)``.
    """
    scale = total / math.fsum(ratios)
    exact = [ratio * scale for ratio in ratios]
    sizes = [max(1, math.floor(share)) for share in exact]
    while sum(sizes) != total:
        step = 1 if sum(sizes) < total else -1
        open_ = [i for i in range(len(sizes)) if sizes[i] + step >= 1]
        best = max(open_, key=lambda i: step * (exact[i] - sizes[i]))
        sizes[best] += step
    return sizes


def by_class(labels: Sequence[int], num_classes: int) -> list[list[int]]:
    """Positions of the images of each class."""
    groups: list[list[int]] = [[] for _ in range(num_classes)]
    for i, label in enumerate(labels):
        groups[label].append(i)
    return groups


def relative_names(paths: Sequence[str]) -> list[str]:
    """Image paths below the deepest folder that holds all of them."""
    full = [os.path.abspath(path) for path in paths]
    if not full:
        return []
    root = os.path.commonpath([os.path.dirname(path) for path in full])
    return [path[len(root) :].strip(os.sep) for path in full]


def digest(names: Sequence[str], labels: Sequence[int]) -> str:
    """SHA-256 over image names and labels, in their order."""
    sha = hashlib.sha256()
    for name, label in zip(names, labels, strict=True):
        sha.update(f'{name}\t{label}\n'.encode())
    return sha.hexdigest()
