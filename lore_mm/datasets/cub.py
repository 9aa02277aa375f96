"""CUB-200-2011, whole or any of its classes."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmpretrain.datasets import CUB

from lore_mm.registry import DATASETS

from .class_names import checked_names, readable_name, suggest
from .sampling import check_part

_FILES = (
    'images.txt',
    'image_class_labels.txt',
    'train_test_split.txt',
    'classes.txt',
)


@DATASETS.register_module()
class CUB200(CUB):
    """CUB-200-2011: the whole set, a part of it on disk, or chosen classes.

    The folder has the official layout: ``images/``, ``images.txt``,
    ``image_class_labels.txt``, ``train_test_split.txt``, ``classes.txt``.
    Image and class ids are the official ones and may have gaps. Labels are
    0..K-1 in the order of the class ids, the same in both splits.
    ``metainfo['classes']`` holds the names of ``classes.txt`` in plain words:
    ``001.Black_footed_Albatross`` is ``Black footed Albatross``.

    Args:
        data_root (str): Folder of the data set.
        split (str): ``'train'`` or ``'test'``, the official split. Defaults
            to ``'train'``.
        classes (Sequence[int | str], optional): Keep these classes only:
            official ids, names as in ``classes.txt``, or plain names.
            Defaults to None, every class that has images.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``, such as
            ``pipeline``; ``metainfo=dict(classes=...)`` renames the classes.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If a file is malformed, the files disagree, or a class is
            unknown or has no image in the split.
    """

    METAINFO: dict = {}
    FOLDER = 'CUB_200_2011'
    NUMBERED_IMAGES = True  # whether the ids of images are numbers

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        classes: Sequence[int | str] | None = None,
        **kwargs,
    ) -> None:
        check_part(split, ('train', 'test'))
        root = Path(data_root).expanduser()
        for name in ('', 'images', *_FILES):
            if not (root / name).exists():
                raise FileNotFoundError(
                    f"'{root / name}' does not exist; data_root must be the "
                    f'{self.FOLDER} folder.'
                )
        if classes is not None and (isinstance(classes, str) or not classes):
            raise ValueError(
                f'classes must be a list of ids or names, got {classes!r}.'
            )
        self.chosen = classes
        super().__init__(data_root=str(root), split=split, **kwargs)

    def _table(self, name: str) -> dict[int | str, str]:
        """Read one of the files: an id and a value on each line."""
        table: dict[int | str, str] = {}
        numbered = self.NUMBERED_IMAGES or name == 'classes.txt'
        path = Path(self.data_root) / name
        lines = path.read_text('utf-8').splitlines()
        for number, line in enumerate(lines, 1):
            key, _, value = line.strip().partition(' ')
            if not key:
                continue
            number_wanted = name not in ('images.txt', 'classes.txt')
            valid = value.isdigit() if number_wanted else value
            if not (key.isdigit() or not numbered) or not valid:
                raise ValueError(
                    f"'{path}', line {number}: expected '<id> <value>', got "
                    f'{line!r}.'
                )
            table[int(key) if numbered else key] = value.strip()
        return table

    def _class_ids(self, present: set[int], names: dict[int, str]) -> list:
        """Ids of the classes to keep, in order."""
        if self.chosen is None:
            return sorted(present)
        by_name = {raw: i for i, raw in names.items() if i in present}
        by_name |= {readable_name(raw): i for raw, i in by_name.items()}
        ids = set()
        for wanted in self.chosen:
            class_id = by_name.get(str(wanted), wanted)
            if class_id not in present:
                raise ValueError(
                    f'class {wanted!r} is not in {self.data_root}. '
                    f'{suggest(str(wanted), sorted(by_name))}'
                )
            ids.add(class_id)
        return sorted(ids)

    def _tables(self) -> tuple[dict, dict, dict, dict]:
        """Image path, class and split by image id; class name by class id."""
        images, labels, splits, names = map(self._table, _FILES)
        for name, table in zip(_FILES, (images, labels, splits), strict=False):
            lost = images.keys() ^ table.keys()
            if lost:
                raise ValueError(
                    f"'images.txt' and '{name}' in {self.data_root} do not "
                    f'list the same images; first: id {min(lost)}.'
                )
        class_of = {i: int(label) for i, label in labels.items()}
        unnamed = set(class_of.values()) - names.keys()
        if unnamed:
            raise ValueError(
                f"class id {min(unnamed)} has no name in 'classes.txt' of "
                f'{self.data_root}.'
            )
        return images, class_of, splits, names

    def load_data_list(self) -> list[dict]:
        """Read paths and remapped labels of the images of the split."""
        images, class_of, splits, names = self._tables()
        ids = self._class_ids(set(class_of.values()), names)
        raw = [names[i] for i in ids]
        self._metainfo['classes'] = checked_names(self.CLASSES, raw)
        label_of = {class_id: label for label, class_id in enumerate(ids)}
        flag = '1' if self.split == 'train' else '0'
        data = [
            dict(
                img_path=self.backend.join_path(self.img_prefix, path),
                gt_label=label_of[class_of[i]],
            )
            for i, path in images.items()
            if splits[i] == flag and class_of[i] in label_of
        ]
        self._check_data(data, raw)
        return data

    def _check_data(self, data: list[dict], raw: list[str]) -> None:
        empty = set(range(len(raw))) - {item['gt_label'] for item in data}
        if empty:
            raise ValueError(
                f'class {raw[min(empty)]!r} has no {self.split} image in '
                f'{self.data_root}.'
            )
        missing = [d for d in data if not os.path.exists(d['img_path'])]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of {len(data)} {self.split} images do not '
                f"exist; first: '{missing[0]['img_path']}'."
            )
