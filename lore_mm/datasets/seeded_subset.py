"""What the seeded subsets share: they wrap any data set, and are recorded."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, force_full_init
from mmpretrain.registry import DATASETS as MMPRETRAIN_DATASETS
from torch.utils.data import Dataset

from lore_mm.utils import SetupError

from .records import check_record, read_record, write_record
from .sampling import (
    by_class,
    digest,
    relative_names,
)


class SeededSubset(Dataset):
    """Images of another data set, chosen by a seed and written down.

    Behaves as mmengine's data sets do, with the class names and the pipeline
    of the data set inside. After ``full_init``, ``indices`` are the positions
    of the chosen images in that data set, ``record`` is what
    ``indices_file`` holds, and ``records`` those of subsets inside before it.
    """

    def __init__(
        self,
        dataset: dict | Dataset,
        indices_file: str | None = None,
        lazy_init: bool = False,
    ) -> None:
        if isinstance(dataset, dict):
            dataset = MMPRETRAIN_DATASETS.build(dataset)
        if not isinstance(dataset, (BaseDataset, SeededSubset)):
            raise SetupError(
                f'{type(self).__name__} needs a BaseDataset of mmengine or '
                f'another seeded subset, got {type(dataset).__name__}. Take '
                'the subset before repeating or concatenating.'
            )
        self.dataset = dataset
        self.indices_file = indices_file
        self.indices: list[int] = []
        self.record: dict[str, Any] = {}
        self.records: list[dict[str, Any]] = []
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def _choice(self) -> dict[str, Any]:
        """The arguments that decide which images are chosen."""
        raise NotImplementedError

    def _choose(self, names: list[str], groups: list[list[int]]) -> list[int]:
        """Positions to keep, from names and the positions of each class."""
        raise NotImplementedError

    def full_init(self) -> None:
        """Choose the images, or read the choice from ``indices_file``."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        names, labels = names_and_labels(self.dataset)
        classes = list(self.dataset.metainfo['classes'])
        wanted = {
            **self._choice(),
            'length': len(names),
            'classes': classes,
            'images_sha256': digest(names, labels),
        }
        stored = read_record(self.indices_file) if self.indices_file else None
        if stored is None:
            chosen = self._choose(names, by_class(labels, len(classes)))
            stored = {**wanted, 'indices': chosen}
            if self.indices_file:
                write_record(self.indices_file, stored)
        else:
            check_record(self.indices_file, stored, wanted)
        self.record = stored
        self.records = [*getattr(self.dataset, 'records', ()), stored]
        self.indices = self._checked_indices(len(names))
        self.dataset = self.dataset.get_subset(self.indices)
        self._fully_initialized = True

    def _checked_indices(self, length: int) -> list[int]:
        indices = self.record.get('indices')
        whole = isinstance(indices, list) and all(
            isinstance(i, int) and 0 <= i < length for i in indices
        )
        if not whole or len(set(indices)) != len(indices) or not indices:
            raise ValueError(
                f"'{self.indices_file}' must list different indices below "
                f'{length}. Delete it to choose anew.'
            )
        return indices

    @property
    def metainfo(self) -> dict:
        """Meta information of the data set inside, a copy."""
        return copy.deepcopy(self.dataset.metainfo)

    @property
    def CLASSES(self) -> tuple[str, ...] | None:  # noqa: N802
        """Class names in label order, as mmpretrain's data sets have."""
        return self.metainfo.get('classes')

    @property
    def pipeline(self) -> Any:
        """The pipeline of the data set inside."""
        return self.dataset.pipeline

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Annotation of the ``idx``-th chosen image."""
        return self.dataset.get_data_info(idx)

    @force_full_init
    def get_gt_labels(self) -> np.ndarray:
        """Labels of the chosen images, shape (len(self),)."""
        return np.array(names_and_labels(self.dataset)[1])

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """Label of the ``idx``-th chosen image, in a list."""
        return [int(self.get_data_info(idx)['gt_label'])]

    @force_full_init
    def get_subset(self, indices: Sequence[int] | int) -> BaseDataset:
        """Part of the chosen images, as the data set inside gives it."""
        return self.dataset.get_subset(indices)

    @force_full_init
    def __len__(self) -> int:
        return len(self.dataset)

    @force_full_init
    def __getitem__(self, idx: int) -> dict:
        return self.dataset[idx]

    def __repr__(self) -> str:
        inside = repr(self.dataset).replace('\n', '\n    ')
        return f'{type(self).__name__}({self._choice()})\n    {inside}'


def names_and_labels(dataset: BaseDataset) -> tuple[list[str], list[int]]:
    """Image names (path below a common folder) and checked labels."""
    names, labels = [], []
    num_classes = len(dataset.metainfo.get('classes') or ())
    if not num_classes:
        raise ValueError(
            f'{type(dataset).__name__} has no class names; give '
            'metainfo=dict(classes=[...]).'
        )
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        label = info.get('gt_label')
        name = info.get('img_path', f'number {i}')
        if not isinstance(label, (int, np.integer)) or not (
            0 <= label < num_classes
        ):
            raise ValueError(
                f"image '{name}' has label {label!r}; labels must be "
                f'integers in [0, {num_classes - 1}].'
            )
        names.append(name)
        labels.append(int(label))
    return relative_names(names), labels
