"""Look at a folder of images before anything is made of it."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from lore_mm.datasets import ImageFolder, LoadRGBImage, split_images
from lore_mm.datasets.sampling import PARTS

_MAX_NAMED = 5


@dataclass(frozen=True)
class FolderFacts:
    """What a folder holds.

    Attributes:
        folders (tuple[str, ...]): Names of the class folders, by label.
        classes (tuple[str, ...]): The same in plain words.
        counts (dict[str, list[int]]): Images of each class in ``train``,
            ``val`` and ``test``.
        left_out (tuple[str, ...]): Files that are no images.
        drawn (bool): Whether parts are drawn by the seed.
    """

    folders: tuple[str, ...]
    classes: tuple[str, ...]
    counts: dict[str, list[int]]
    left_out: tuple[str, ...]
    drawn: bool

    def total(self, part: str) -> int:
        """Number of images of a part."""
        return sum(self.counts[part])


def check_images(
    folder: str | Path,
    seed: int = 0,
    split_file: str | Path | None = None,
    threads: int = 1,
    folders: Sequence[str] | None = None,
) -> FolderFacts:
    """Count a folder's images, decode each once and say what is wrong.

    Args:
        folder (str | Path): See :class:`~lore_mm.datasets.ImageFolder`.
        seed (int): Seed of the split. Defaults to 0.
        split_file (str | Path, optional): A split that was drawn before.
        threads (int): Images to decode at a time. Defaults to 1.
        folders (Sequence[str], optional): The class folders by label, where
            they are known already.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It is no folder of classes, an image cannot be read or is
            in two parts, or class folders have other names. Damaged images are
            named together.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = 'is a file' if folder.exists() else 'does not exist'
        raise FileNotFoundError(
            f"folder '{folder}' {what}: give a folder with one sub-folder of "
            'images for each class.'
        )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        parts = {
            part: ImageFolder(
                str(folder),
                part,
                seed=seed,
                split_file=str(split_file) if split_file else None,
                folders=folders,
                pipeline=[],
            )
            for part in PARTS
        }
    split_images(**parts)
    paths = [
        dataset.get_data_info(i)['img_path']
        for dataset in parts.values()
        for i in range(len(dataset))
    ]
    print_log(f'Reading {len(paths)} images.', logger='current')
    _decode_all(paths, threads)
    classes = parts['train'].metainfo['classes']
    left_out = {f for d in parts.values() for f in d.left_out}
    return FolderFacts(
        folders=tuple(parts['train'].folder_to_idx),
        classes=tuple(classes),
        counts={
            part: _count(dataset.get_gt_labels(), len(classes))
            for part, dataset in parts.items()
        },
        left_out=tuple(sorted(left_out)),
        drawn=parts['train'].record is not None,
    )


def check_out(out: Path, folder: Path) -> None:
    """Refuse a folder for results that lies in the images, or holds them.

    Raises:
        ValueError: It does, or it is a file.
    """
    out, folder = out.resolve(), folder.resolve()
    if out == folder or folder in out.parents or out in folder.parents:
        raise ValueError(
            f"out '{out}' and the images '{folder}' must not lie in each "
            'other: results would be taken for images. Name another out.'
        )
    if out.exists() and not out.is_dir():
        raise ValueError(f"out '{out}' is a file: name another folder.")


def _decode_all(paths: list[str], threads: int) -> None:
    """Decode each image, large JPEGs reduced; name all that fail."""
    load = LoadRGBImage(min_side=1)

    def fault(path: str) -> str | None:
        try:
            load.transform(dict(img_path=path))
        except (ValueError, OSError) as error:
            return str(error)
        return None

    with ThreadPoolExecutor(max(1, threads)) as pool:
        faults = [text for text in pool.map(fault, paths) if text]
    if faults:
        shown = ' '.join(faults[:_MAX_NAMED])
        more = len(faults) - _MAX_NAMED
        rest = f' And {more} more.' if more > 0 else ''
        raise ValueError(
            f'{len(faults)} of {len(paths)} images cannot be used: {shown}'
            f'{rest} Repair or remove {"it" if len(faults) == 1 else "them"}.'
        )


def _count(labels: Iterable[int], num_classes: int) -> list[int]:
    counts = [0] * num_classes
    for label in labels:
        counts[int(label)] += 1
    return counts


def default_out(folder: str | Path) -> Path:
    """``work_dirs/adapt/<name of the folder>``."""
    return Path('work_dirs', 'adapt', os.path.basename(Path(folder).resolve()))
