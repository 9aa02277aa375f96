"""The images of a run's splits, written down and checked for overlap."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from .class_names import class_difference
from .records import write_record
from .sampling import relative_names


def split_images(**splits: Any) -> dict[str, list[str]]:
    """Names of the images in each split, and proof that they are disjoint.

    Args:
        **splits: A data set under the name of each split, such as
            ``train=..., val=..., test=...``; anything with ``__len__`` and
            ``get_data_info``. Data sets that hold pixels and no file names
            are left out.

    Returns:
        dict[str, list[str]]: Paths below the deepest common folder.

    Raises:
        ValueError: If two splits share an image.
    """
    paths: dict[str, list[str]] = {}
    for split, dataset in splits.items():
        infos = (dataset.get_data_info(i) for i in range(len(dataset)))
        found = [info['img_path'] for info in infos if 'img_path' in info]
        if found:
            paths[split] = found
    owner: dict[str, str] = {}
    for split, found in paths.items():
        for path in map(os.path.realpath, found):
            if owner.setdefault(path, split) != split:
                raise ValueError(
                    f"image '{path}' is in {owner[path]} and in {split}. "
                    'Parts of one data set need the same seed and sizes.'
                )
    names = iter(
        relative_names([p for found in paths.values() for p in found])
    )
    return {
        split: [next(names) for _ in found] for split, found in paths.items()
    }


def check_labels(dataset: Any, num_classes: int, split: str) -> None:
    """Check that every label of a data set is one of the classes.

    Args:
        dataset: A data set as for :func:`split_images`. Images without a
            label, or with labels of another kind than whole numbers, pass.
        num_classes (int): How many classes there are.
        split (str): Name of the split, for the message.

    Raises:
        ValueError: A label is below 0 or not below ``num_classes``.
    """
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        labels = np.atleast_1d(np.asarray(info.get('gt_label', ())))
        if labels.dtype.kind not in 'iu':
            continue
        wrong = labels[(labels < 0) | (labels >= num_classes)]
        if len(wrong):
            image = info.get('img_path', f'number {i}')
            raise ValueError(
                f"image '{image}' of {split} has label {wrong[0]}; there are "
                f'{num_classes} classes, so labels go from 0 to '
                f'{num_classes - 1}. Mend the label, or the list of classes.'
            )


def check_same_classes(train: Any, dataset: Any, split: str) -> None:
    """Check that a label is the same class in training and in a split.

    Args:
        train: The training set, with ``metainfo``. Nothing is compared where
            either data set names no classes.
        dataset: The data set of the split.
        split (str): Its name, for the message.

    Raises:
        ValueError: Number, names or order of the classes differ.
    """
    wanted, found = _class_names(train), _class_names(dataset)
    if not wanted or not found:
        return
    rule = class_difference(
        wanted, found, ('train', split), ('in train', f'in {split}')
    )
    if rule is None:
        return
    raise ValueError(
        f'{rule}, so that {split} would be scored by other labels; name the '
        'same classes in the same order, by a folder for each in both, or by '
        'metainfo=dict(classes=[...]).'
    )


def subset_records(**splits: Any) -> dict[str, list[dict[str, Any]]]:
    """How each split that is a seeded subset was chosen.

    Args:
        **splits: As for :func:`split_images`.

    Returns:
        dict[str, list[dict]]: The records of the subsets, from the one next to
        the data set outwards; ``indices`` are positions in what is inside.

    Raises:
        ValueError: If two splits share an image of one data set.
    """
    found = {
        split: dataset.records
        for split, dataset in splits.items()
        if getattr(dataset, 'records', None)
    }
    owner: dict[tuple, str] = {}
    for split, records in found.items():
        source = (records[0]['images_sha256'], records[0]['length'])
        for index in _positions(records):
            if owner.setdefault((source, index), split) != split:
                raise ValueError(
                    f'image number {index} is in {owner[source, index]} and '
                    f'in {split}. Parts of one data set need the same seed '
                    'and sizes.'
                )
    return found


def _class_names(dataset: Any) -> list[str]:
    metainfo = getattr(dataset, 'metainfo', None) or {}
    return [str(name) for name in metainfo.get('classes') or ()]


def _positions(records: list[dict[str, Any]]) -> list[int]:
    """Positions in the data set itself of what the outermost subset holds."""
    positions = records[0]['indices']
    for record in records[1:]:
        positions = [positions[i] for i in record['indices']]
    return positions


def write_splits(path: str | Path, **splits: Any) -> None:
    """Write the images of each split to a JSON file.

    The file fits :class:`ImageFolder` as a ``split_file``.

    Args:
        path (str | Path): The file.
        **splits: As for :func:`split_images`.

    Raises:
        ValueError: If two splits share an image.
    """
    write_record(path, split_images(**splits))
