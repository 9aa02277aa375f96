"""Grocery Store: products in shelves, fine and coarse classes."""

import csv
from pathlib import Path

from mmpretrain.datasets import BaseDataset

from lore_mm.registry import DATASETS

from .class_names import checked_names
from .sampling import PARTS, check_part
from .split_file import check_images

_COLUMNS = dict(
    fine=('Class ID (int)', 'Class Name (str)'),
    coarse=('Coarse Class ID (int)', 'Coarse Class Name (str)'),
)


@DATASETS.register_module()
class GroceryStore(BaseDataset):
    """Grocery Store (Klasson et al., WACV 2019): whole, or chosen classes.

    The folder has the published layout: ``dataset/train.txt``, ``val.txt`` and
    ``test.txt`` with lines ``path, fine id, coarse id``, and
    ``dataset/classes.csv``. Ids may have gaps: labels are 0..K-1 in the order
    of the ids that the three lists have, the same in all splits. The name
    ``God-Morgon-Apple-Juice`` becomes ``God Morgon Apple Juice``.

    Args:
        data_root (str): Folder that holds ``dataset/``.
        split (str): ``'train'``, ``'val'`` or ``'test'``.
        level (str): ``'fine'`` or ``'coarse'`` classes. Defaults to
            ``'fine'``.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: A list or an image is missing.
        ValueError: A list is malformed or a class has no name.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        level: str = 'fine',
        **kwargs,
    ) -> None:
        self.split = check_part(split)
        self.level = check_part(level, tuple(_COLUMNS), 'level')
        self.folder = Path(data_root).expanduser() / 'dataset'
        for name in ('classes.csv', *(f'{part}.txt' for part in PARTS)):
            if not (self.folder / name).is_file():
                raise FileNotFoundError(
                    f"'{self.folder / name}' does not exist; data_root must "
                    'be the GroceryStoreDataset folder.'
                )
        super().__init__(ann_file='', data_root=str(data_root), **kwargs)

    def _names(self) -> dict[int, str]:
        key, value = _COLUMNS[self.level]
        path = self.folder / 'classes.csv'
        with path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        if not rows or not {key, value} <= rows[0].keys():
            raise ValueError(f"'{path}' must have columns {key!r}, {value!r}.")
        return {int(row[key]): row[value].replace('-', ' ') for row in rows}

    def _list(self, part: str) -> list[tuple[str, int]]:
        """Path and class id of each image of a part."""
        path = self.folder / f'{part}.txt'
        items = []
        lines = path.read_text('utf-8').splitlines()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            cells = [cell.strip() for cell in line.split(',')]
            if len(cells) != 3 or not all(c.isdigit() for c in cells[1:]):
                raise ValueError(
                    f"'{path}', line {number}: expected 'path, id, id', got "
                    f'{line!r}.'
                )
            ids = dict(fine=int(cells[1]), coarse=int(cells[2]))
            items.append((cells[0], ids[self.level]))
        return items

    def load_data_list(self) -> list[dict]:
        """Read paths and remapped labels of the images of the split."""
        names = self._names()
        lists = {part: self._list(part) for part in PARTS}
        ids = sorted({i for items in lists.values() for _, i in items})
        unnamed = [i for i in ids if i not in names]
        if unnamed:
            raise ValueError(
                f"class id {unnamed[0]} has no name in 'classes.csv' of "
                f'{self.folder}.'
            )
        self._metainfo['classes'] = checked_names(
            self.CLASSES, [names[i] for i in ids]
        )
        label_of = {class_id: label for label, class_id in enumerate(ids)}
        data = [
            dict(img_path=str(self.folder / path), gt_label=label_of[i])
            for path, i in lists[self.split]
        ]
        check_images(data, self.split)
        return data
