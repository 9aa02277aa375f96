"""Your own images and masks for segmentation: two folders, no code."""

from pathlib import Path

from mmseg.datasets import BaseSegDataset

from lore_mm.registry import DATASETS

from .label_masks import check_masks
from .loading import find_images


@DATASETS.register_module()
class MaskFolder(BaseSegDataset):
    """Images and masks of the same names, in the usual folders.

    ::

        data_root/images/<split>/a.jpg ...       any format
        data_root/annotations/<split>/a.png ...  label of each pixel, 255 void
        data_root/classes.txt                    a name per line, in order

    Sub-folders are kept: ``images/train/x/a.jpg`` has
    ``annotations/train/x/a.png``. Masks are PNGs with a palette or in gray;
    :class:`LoadMask` reads and checks each.

    When the data set is built, masks are looked over until each class was
    seen: they must not mark objects with 255, and a class without a pixel in
    training (a split named ``train...``) is warned of.

    Args:
        data_root (str): The folder.
        split (str): Folder below ``images`` and ``annotations``.
        classes_file (str): Below ``data_root``; not read where ``metainfo``
            has ``classes``. Defaults to ``'classes.txt'``.
        **kwargs: As in mmseg's ``BaseSegDataset``: ``pipeline``,
            ``metainfo``, ``reduce_zero_label`` and so on.

    Raises:
        FileNotFoundError: A folder, a mask or the list of classes is missing.
        ValueError: There is no image or no class, all masks hold 0 and 255
            alone, or a mask cannot be read or has other labels.
    """

    def __init__(
        self,
        data_root: str,
        split: str,
        classes_file: str = 'classes.txt',
        metainfo: dict | None = None,
        **kwargs,
    ) -> None:
        self.split = split
        metainfo = dict(metainfo or {})
        if 'classes' not in metainfo:
            metainfo['classes'] = _read_classes(Path(data_root, classes_file))
        super().__init__(
            data_root=data_root,
            data_prefix=dict(
                img_path=f'images/{split}', seg_map_path=f'annotations/{split}'
            ),
            metainfo=metainfo,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """One record per image: ``img_path``, ``seg_map_path``, ..."""
        folder = Path(self.data_prefix['img_path'])
        masks = Path(self.data_prefix['seg_map_path'])
        if not folder.is_dir():
            raise FileNotFoundError(
                f"image folder '{folder}' does not exist; set data_root (in "
                'the shipped configs: SEG_ROOT) and split.'
            )
        found = find_images(folder)
        if not found:
            raise ValueError(f"'{folder}' holds no image.")
        records = [self._record(path, folder, masks) for path in found]
        check_masks(
            [record['seg_map_path'] for record in records],
            self._metainfo['classes'],
            self.reduce_zero_label,
            training=self.split.startswith('train'),
        )
        return records

    def _record(self, path: Path, folder: Path, masks: Path) -> dict:
        mask = masks / path.relative_to(folder).with_suffix('.png')
        if not mask.is_file():
            raise FileNotFoundError(f"image '{path}' has no mask '{mask}'.")
        return dict(
            img_path=str(path),
            seg_map_path=str(mask),
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            num_classes=len(self._metainfo['classes']),
            seg_fields=[],
        )


def _read_classes(path: Path) -> tuple[str, ...]:
    """Names in the file, one per line."""
    if not path.is_file():
        raise FileNotFoundError(
            f"the list of classes '{path}' does not exist; write one name per "
            'line, in the order of the labels, or give '
            'metainfo=dict(classes=(...)).'
        )
    names = [line.strip() for line in path.read_text().splitlines()]
    names = [name for name in names if name]
    if not names:
        raise ValueError(f"'{path}' names no class.")
    return tuple(names)
