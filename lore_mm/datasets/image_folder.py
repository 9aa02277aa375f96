"""Any image folder: one sub-folder per class, no code."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import MMLogger
from mmpretrain.datasets import CustomDataset

from lore_mm.registry import DATASETS

from .class_names import checked_names
from .drawn_split import check_listed, check_ratio, draw_split
from .loading import IMAGE_SUFFIXES, is_hidden
from .records import check_record, read_record, write_record
from .sampling import PARTS, check_part, check_seed
from .split_folders import (
    check_folders,
    check_inner_parts,
    class_folders,
    list_names,
    part_folders,
)

ALL = 'all'  # in the place of a part: no split
Sample = tuple[str, int]  # path below data_root, label


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """Images in a folder, one sub-folder per class.

    Either the folder holds ``train/``, ``val/`` and ``test/``, each with the
    class folders, or the class folders alone. What has no folder of its own
    is drawn from the rest by a seeded split, class by class: all three parts
    from a single folder of classes, or val from ``train/`` where there is no
    ``val/``. At least one image of each class goes to each
    part. Beside ``train/``, ``valid/`` or ``validation/`` is read as ``val/``;
    folders of parts by other names (``Train/``, ``testing/``) are refused.

    Labels follow the sorted folder names; ``metainfo['classes']`` holds them
    in plain words (``golden_retriever`` is ``golden retriever``). Files that
    are no images, GIFs among them, are left out with a warning; ``left_out``
    names them. ``record`` is the split that was drawn, as ``split_file``
    holds it, or None.

    Args:
        data_root (str): The folder.
        split (str): ``'train'``, ``'val'`` or ``'test'``; or ``'all'``, every
            image, to test a trained model on another folder.
        split_ratio (Sequence[float]): Shares of train, val and test; of the
            parts that are drawn, in proportion.
        seed (int): Seed of the split. Defaults to 0.
        split_file (str, optional): JSON file with the names of the images in
            each drawn part. The training part writes it if it does not exist;
            a file made by hand needs ``train``, ``val`` and ``test`` alone.
        folders (Sequence[str], optional): Names of the class folders by
            label. Defaults to None: those that are found, sorted. With names,
            other folders are refused; with ``'all'`` some may be missing.
        **kwargs: Other arguments of mmpretrain's ``CustomDataset``, such as
            ``pipeline`` and ``extensions``.

    Raises:
        FileNotFoundError: If the folder is missing, or ``split_file`` for
            another part than that of training: drawn anew, it could hold
            images that were trained on.
        ValueError: If there are no two classes, a class or a part is empty,
            a class is too small, folders of parts or classes have other
            names, or ``split_file`` does not match the folder.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        split_ratio: Sequence[float] = (0.7, 0.1, 0.2),
        seed: int = 0,
        split_file: str | None = None,
        folders: Sequence[str] | None = None,
        extensions: Sequence[str] = IMAGE_SUFFIXES,
        **kwargs,
    ) -> None:
        self.split = check_part(split, (*PARTS, ALL))
        self.split_ratio = check_ratio(split_ratio)
        self.seed = check_seed(seed)
        self.split_file = split_file
        self.folders = folders
        self.record: dict | None = None
        self.left_out: list[str] = []
        wrong = {'ann_file', 'data_prefix', 'with_label'} & kwargs.keys()
        if wrong:
            raise ValueError(
                f'ImageFolder takes no {min(wrong)}: classes are folders. '
                'Use CustomDataset for an annotation file.'
            )
        root = Path(data_root).expanduser()
        if not root.is_dir():
            raise FileNotFoundError(
                f"data_root '{root}' does not exist or is no folder; set "
                'data_root (in the shipped configs: FOLDER_ROOT).'
            )
        super().__init__(data_root=str(root), extensions=extensions, **kwargs)
        if not self._fully_initialized and self.CLASSES is None:
            # Who asks for the classes alone must not have a split written.
            self._set_classes(root / part_folders(root).get('train', ''))

    def _find_samples(self) -> list[Sample]:
        root = Path(self.data_root)
        own = part_folders(root)
        others = sorted(set(class_folders(root)) - set(own.values()))
        if own and others and self.split in ('train', ALL):
            others = list_names(others)
            self._warn(f"'{root}' has train/; not used: {others}")
        self._set_classes(root / own.get('train', ''))
        if self.split == ALL:
            parts = map(self._scan, own.values() or [''])
            return [sample for part in parts for sample in part]
        if self.split != 'train' and self.split in own:
            return self._scan(own[self.split])
        pool = self._scan(own.get('train', ''))
        drawn = [p for p in PARTS if p == 'train' or p not in own]
        return self._draw(pool, drawn) if len(drawn) > 1 else pool

    @staticmethod
    def _warn(message: str) -> None:
        MMLogger.get_current_instance().warning(message)

    def _set_classes(self, folder: Path) -> None:
        folders = class_folders(folder)
        if self.folders is not None:
            check_folders(folder, folders, self.folders, self.split == ALL)
            folders = self.folders
        elif len(folders) < 2:
            found = f'only {folders[0]!r}' if folders else 'none'
            hint = ''
            if folders and len(class_folders(folder / folders[0])) > 1:
                hint = '; if its sub-folders are meant, move them up one level'
            raise ValueError(
                f"'{folder}' must hold at least two class folders, found "
                f'{found}{hint}.'
            )
        self.folder_to_idx = {name: i for i, name in enumerate(folders)}
        self._metainfo['classes'] = checked_names(self.CLASSES, folders)

    def _scan(self, part: str) -> list[Sample]:
        """All images below ``data_root/part``, class after class.

        Args:
            part (str): Name of the folder; empty where there are no parts.
        """
        folder = Path(self.data_root, part)
        present = class_folders(folder)
        strange = [name for name in present if name not in self.folder_to_idx]
        if strange:
            raise ValueError(
                f"'{folder}' has class folders that are not in train/: "
                f'{list_names(strange)}.'
            )
        samples: list[Sample] = []
        skipped: list[str] = []
        for name in present:
            files, others = self._files(folder / name)
            if not part:
                check_inner_parts(folder / name, files)
            label = self.folder_to_idx[name]
            samples += [(str(Path(part, name, file)), label) for file in files]
            skipped += [f'{name}/{file}' for file in others]
        filled = {label for _, label in samples}
        empty = [k for k, v in self.folder_to_idx.items() if v not in filled]
        self._check_empty(part, empty)
        self.left_out += [str(Path(part, name)) for name in skipped]
        told = self.split in ('train', ALL) or part not in ('', 'train')
        if skipped and told:
            self._warn(
                f"{len(skipped)} files in '{folder}' are no images and were "
                f'left out: {list_names(skipped, 10)}'
            )
        return samples

    def _files(self, folder: Path) -> tuple[list[str], list[str]]:
        """Images and other files below a class folder, both sorted."""
        images, others = [], []
        for where, _, files in os.walk(folder, followlinks=True):
            for file in files:
                name = Path(where, file).relative_to(folder).as_posix()
                if not is_hidden(name):
                    kept = images if self.is_valid_file(name) else others
                    kept.append(name)
        return sorted(images), sorted(others)

    def _check_empty(self, part: str, empty: list[str]) -> None:
        """Refuse classes without images; in val/ and test/ all of them."""
        if not empty:
            return
        folder = Path(self.data_root, part)
        given = part not in ('', 'train') or self.split == ALL
        if given and len(empty) == len(self.folder_to_idx):
            drawn = f' to have {self.split} drawn from train/'
            raise ValueError(
                f"'{folder}' holds no image in a class folder: add some, or "
                f'remove the folder{"" if self.split == ALL else drawn}.'
            )
        suffixes = ' '.join(sorted(self.extensions))
        message = (
            f"'{folder}' has no image of class "
            f'{list_names(empty)} (extensions: {suffixes})'
        )
        if not given:
            raise ValueError(f'{message}: add some, or remove the folder.')
        self._warn(message)

    def _draw(self, pool: list[Sample], drawn: list[str]) -> list[Sample]:
        """Images of this part, from the split file or by a new split."""
        names = [Path(name).as_posix() for name, _ in pool]
        stored = read_record(self.split_file) if self.split_file else None
        if stored is None:
            self._check_may_draw()
            stored = self._new_split(pool, drawn)
            if self.split_file:
                write_record(self.split_file, stored)
        else:
            self._check_split(stored, names, drawn)
        self.record = stored
        label_of = dict(zip(names, (label for _, label in pool), strict=True))
        return [(name, label_of[name]) for name in stored[self.split]]

    def _check_may_draw(self) -> None:
        """Refuse a part whose split was written down and is gone."""
        if self.split_file and self.split != 'train':
            raise FileNotFoundError(
                f"split_file '{self.split_file}' does not exist, and the "
                f'{self.split} images are not drawn anew, as some may have '
                'been trained on: give the file that training wrote, or no '
                'split_file where nothing was trained.'
            )

    def _new_split(self, pool: list[Sample], drawn: list[str]) -> dict:
        folders = list(self.folder_to_idx)  # by label
        images: dict[str, list[str]] = {folder: [] for folder in folders}
        for name, label in pool:
            images[folders[label]].append(Path(name).as_posix())
        parts = draw_split(images, drawn, self.split_ratio, self.seed)
        return {**self._choice(), **parts}

    def _choice(self) -> dict:
        return {'seed': self.seed, 'split_ratio': list(self.split_ratio)}

    def _check_split(
        self, stored: dict, names: list[str], drawn: list[str]
    ) -> None:
        """Refuse a split file that does not fit the folder."""
        choice = {k: v for k, v in self._choice().items() if k in stored}
        check_record(self.split_file, stored, choice)
        check_listed(self.split_file, stored, names, drawn, self.data_root)
