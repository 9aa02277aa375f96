"""Stanford Dogs, which mmpretrain has no class for."""

from pathlib import Path

import mat4py
from mmpretrain.datasets import BaseDataset

from lore_mm.registry import DATASETS

from .class_names import checked_names
from .sampling import check_part
from .split_file import check_images


@DATASETS.register_module()
class StanfordDogs(BaseDataset):
    """Stanford Dogs: 120 breeds, 12000 training and 8580 test images.

    The folder has the published layout: ``Images/n02085620-Chihuahua/*.jpg``,
    and ``train_list.mat`` and ``test_list.mat`` of ``lists.tar`` beside it or
    in ``lists/``. ``n02085620-Chihuahua`` is named ``Chihuahua``.

    Args:
        data_root (str): The folder.
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: The folder, a list or an image is missing.
        ValueError: A list is malformed.
    """

    def __init__(self, data_root: str, split: str = 'train', **kwargs) -> None:
        self.split = check_part(split, ('train', 'test'))
        root = Path(data_root).expanduser()
        self.image_dir = root / 'Images'
        if not self.image_dir.is_dir():
            raise FileNotFoundError(
                f"'{self.image_dir}' does not exist; extract images.tar of "
                'Stanford Dogs there.'
            )
        name = f'{split}_list.mat'
        files = [root / name, root / 'lists' / name]
        found = [file for file in files if file.is_file()]
        if not found:
            raise FileNotFoundError(
                f"'{files[0]}' does not exist; extract lists.tar of Stanford "
                'Dogs there.'
            )
        super().__init__(ann_file=str(found[0]), data_root=str(root), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read paths and labels of the images of the split."""
        content = mat4py.loadmat(self.ann_file)
        if not {'file_list', 'labels'} <= content.keys():
            raise ValueError(
                f"'{self.ann_file}' must hold file_list and labels, it has "
                f'{sorted(content)}.'
            )
        paths = [_only(path) for path in content['file_list']]
        labels = [_only(label) - 1 for label in content['labels']]
        folders = dict(
            zip(labels, (p.split('/')[0] for p in paths), strict=True)
        )
        if sorted(folders) != list(range(len(folders))):
            raise ValueError(
                f"'{self.ann_file}': labels must be 1..K without gaps."
            )
        raw = [
            folders[i].partition('-')[2] or folders[i]
            for i in range(len(folders))
        ]
        self._metainfo['classes'] = checked_names(self.CLASSES, raw)
        data = [
            dict(img_path=str(self.image_dir / path), gt_label=int(label))
            for path, label in zip(paths, labels, strict=True)
        ]
        check_images(data, self.split)
        return data


def _only(value: object) -> object:
    """The one item of a MATLAB cell or row; nested ones too."""
    while isinstance(value, list):
        (value,) = value
    return value
