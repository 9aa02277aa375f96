"""Any data set whose split is a JSON file, as CoOp publishes them."""

import json
import os
from pathlib import Path

from mmpretrain.datasets import BaseDataset

from lore_mm.registry import DATASETS

from .class_names import checked_names
from .sampling import PARTS, check_part

TRAINVAL = 'trainval'
Item = tuple[str, int, str]  # path below the images, label, class name


def read_split_file(path: str | Path) -> dict[str, list[Item]]:
    """Read a split file: ``{"train": [[path, label, name], ...], ...}``.

    Args:
        path (str | Path): The file, ``split_zhou_*.json`` of CoOp (Zhou et
            al., IJCV 2022) or one that
            ``tools/dataset_converters/split_folder.py`` wrote.

    Returns:
        dict[str, list[Item]]: Items of ``train``, ``val`` and ``test``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON, or no such split.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"split file '{path}' does not exist.")
    try:
        content = json.loads(path.read_text('utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}' is not a JSON file: {error}.") from error
    if not isinstance(content, dict) or not set(PARTS) <= set(content):
        raise ValueError(f"'{path}' must hold lists for {', '.join(PARTS)}.")
    return {
        part: [_checked(item, path, part) for item in content[part]]
        for part in PARTS
    }


def _checked(item: object, path: Path, part: str) -> Item:
    whole = isinstance(item, list) and [type(x) for x in item] == [
        str,
        int,
        str,
    ]
    if not whole:
        raise ValueError(
            f"'{path}', {part}: an item must be [path, label, class name], "
            f'got {item!r}.'
        )
    return tuple(item)


def class_names_of(
    split: dict[str, list[Item]], path: str | Path
) -> tuple[str, ...]:
    """Class names in label order.

    Raises:
        ValueError: A label has two names, or labels are not 0..K-1.
    """
    names: dict[int, str] = {}
    for items in split.values():
        for _, label, name in items:
            if names.setdefault(label, name) != name:
                raise ValueError(
                    f"'{path}': label {label} is {names[label]!r} and {name!r}"
                )
    if sorted(names) != list(range(len(names))):
        missing = min(
            set(range(max(names, default=0))) - set(names), default=0
        )
        raise ValueError(
            f"'{path}': labels must be 0..K-1 without gaps; {missing} has no "
            'image.'
        )
    return tuple(names[label] for label in range(len(names)))


@DATASETS.register_module()
class SplitFile(BaseDataset):
    """Images in a folder, split by a JSON file as CoOp publishes them.

    The file lists ``[path, label, class name]`` under ``train``, ``val`` and
    ``test``. Class names are taken as they are, underscores as spaces.

    Args:
        data_root (str): Folder of the data set.
        split_file (str): The file, below ``data_root`` or absolute.
        image_dir (str): Folder below ``data_root`` that the paths are
            relative to. Defaults to ``''``.
        split (str): ``'train'``, ``'val'``, ``'test'``, or ``'trainval'``:
            both of the first. Defaults to ``'trainval'``.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``, such as
            ``pipeline``; ``metainfo=dict(classes=...)`` renames the classes.

    Raises:
        FileNotFoundError: The folder, the file or an image is missing.
        ValueError: The file is malformed, or lists no image for the split.
    """

    def __init__(
        self,
        data_root: str,
        split_file: str,
        image_dir: str = '',
        split: str = TRAINVAL,
        **kwargs,
    ) -> None:
        self.split = check_part(split, (*PARTS, TRAINVAL))
        root = Path(data_root).expanduser()
        if not (root / image_dir).is_dir():
            raise FileNotFoundError(
                f"'{root / image_dir}' does not exist or is no folder; it "
                'must hold the images.'
            )
        self.image_dir = root / image_dir
        super().__init__(
            ann_file=str(root / split_file), data_root=str(root), **kwargs
        )

    def load_data_list(self) -> list[dict]:
        """List the images of the split, in the order of the file."""
        split = read_split_file(self.ann_file)
        found = class_names_of(split, self.ann_file)
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(
                ' '.join(name.replace('_', ' ').split()) for name in found
            )
        else:
            self._metainfo['classes'] = checked_names(self.CLASSES, found)
        parts = PARTS[:2] if self.split == TRAINVAL else (self.split,)
        data = [
            dict(img_path=str(self.image_dir / path), gt_label=label)
            for part in parts
            for path, label, _ in split[part]
        ]
        if not data:
            raise ValueError(
                f"'{self.ann_file}' lists no {self.split} images."
            )
        check_images(data, self.split)
        return data

    def extra_repr(self) -> list[str]:
        """Lines for ``repr``: where from, and which part."""
        return [
            f'Root of dataset: \t{self.data_root}',
            f'Split: \t{self.split} of {self.ann_file}',
        ]


def check_images(data: list[dict], split: str) -> None:
    """Raise ``FileNotFoundError`` unless every listed image exists."""
    missing = [d for d in data if not os.path.exists(d['img_path'])]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(data)} {split} images do not exist; '
            f"first: '{missing[0]['img_path']}'."
        )
