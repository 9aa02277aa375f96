"""Simulated textile images with local and global defects."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from mmpretrain.datasets import BaseDataset

from lore_mm.registry import DATASETS

from .class_names import checked_names
from .sampling import PARTS, check_part, check_seed, seeded_order

_PACKAGE = 'conformal_clip_data'
_INSIDE = 'data/textile_images/simulated'
_SUFFIXES = ('.jpg', '.jpeg', '.png')


def installed_textile_root() -> Path:
    """Folder of the textile images inside the installed package.

    The package is found without importing it.

    Raises:
        FileNotFoundError: If the package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            'the textile images come with a package that is not installed: '
            'pip install conformal-clip-data, or set data_root to a folder '
            'with nominal/, local/ and global/.'
        )
    return Path(spec.submodule_search_locations[0]) / _INSIDE


@DATASETS.register_module()
class Textile(BaseDataset):
    """Textile images: nominal, with a local and with a global defect.

    1000, 500 and 500 gray images of 250 x 250 pixels, bundled with the
    package ``conformal-clip-data``. There is no official split. Each class is
    put in a seeded order; the first images are the test part, the next ones
    val, the next ones train. So the parts are disjoint, and more or fewer
    training images leave val and test as they are.

    Args:
        data_root (str, optional): Folder with ``nominal/``, ``local/`` and
            ``global/``. Defaults to None, the installed package.
        split (str): ``'train'``, ``'val'`` or ``'test'``.
        per_class (Mapping[str, int], optional): Images of each class in each
            part. Defaults to 200 train, 100 val, 200 test.
        seed (int): Seed of the split. Defaults to 0.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``;
            ``metainfo=dict(classes=...)`` gives three names for text, in the
            order nominal, local, global.

    Raises:
        FileNotFoundError: If the package or a class folder is missing.
        ValueError: If a class has fewer images than ``per_class`` asks for.
    """

    FOLDERS = ('nominal', 'local', 'global')

    def __init__(
        self,
        data_root: str | None = None,
        split: str = 'train',
        per_class: Mapping[str, int] | None = None,
        seed: int = 0,
        **kwargs,
    ) -> None:
        self.split = check_part(split)
        self.seed = check_seed(seed)
        self.per_class = dict(train=200, val=100, test=200)
        for part, count in dict(per_class or {}).items():
            check_part(part)
            if not isinstance(count, int) or count < 0:
                raise ValueError(
                    f'per_class[{part!r}] must be an integer >= 0, got '
                    f'{count!r}.'
                )
            self.per_class[part] = count
        if self.per_class[split] == 0:
            raise ValueError(f'per_class[{split!r}] is 0: nothing to load.')
        root = Path(data_root).expanduser() if data_root else None
        root = root or installed_textile_root()
        super().__init__(ann_file='', data_root=str(root), **kwargs)

    def _images(self, folder: str) -> list[str]:
        """Chosen file names of a class, in order."""
        path = Path(self.data_root) / folder
        if not path.is_dir():
            raise FileNotFoundError(f"'{path}' does not exist.")
        names = sorted(
            file.name
            for file in path.iterdir()
            if file.suffix.lower() in _SUFFIXES
        )
        if sum(self.per_class.values()) > len(names):
            raise ValueError(
                f'per_class asks for {sum(self.per_class.values())} images '
                f"of each class, but '{path}' has {len(names)}."
            )
        order = seeded_order(names, self.seed, salt=folder)
        start = 0
        for part in reversed(PARTS):
            if part == self.split:
                break
            start += self.per_class[part]
        chosen = order[start : start + self.per_class[self.split]]
        return [names[i] for i in sorted(chosen)]

    def load_data_list(self) -> list[dict]:
        """List the images of the part, class after class."""
        self._metainfo['classes'] = checked_names(self.CLASSES, self.FOLDERS)
        return [
            dict(
                img_path=str(Path(self.data_root, folder, name)),
                gt_label=label,
            )
            for label, folder in enumerate(self.FOLDERS)
            for name in self._images(folder)
        ]

    def extra_repr(self) -> list[str]:
        """Lines for ``repr``: where from, and which part."""
        return [
            f'Root of dataset: \t{self.data_root}',
            f'Split: \t{self.split} of {self.per_class}, seed {self.seed}',
        ]
