"""Write a split file for a folder of class folders that has no official split.

    python tools/dataset_converters/split_folder.py --train 0.2 \
        data/resisc45/NWPU-RESISC45 data/resisc45/split.json

The file has the form of CoOp's ``split_zhou_*.json``, which
``lore_mm.SplitFile`` reads. Each class is put in a seeded order; ``--train``
is the share that trains, the rest is the test split; ``val`` is empty, as
configs hold validation images out of the training split.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from lore_mm.datasets.loading import IMAGE_SUFFIXES, is_hidden
from lore_mm.datasets.records import write_record
from lore_mm.datasets.sampling import part_sizes, seeded_order


def readable(folder: str) -> str:
    """``mobile_home_park`` or ``MobileHomePark`` in plain words."""
    words = re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', folder)
    return ' '.join(re.split(r'[\s_\-]+', words)).strip().lower()


def split_folder(root: Path, share: float, seed: int) -> dict[str, list]:
    """Items ``[path, label, class name]`` of each part.

    Args:
        root (Path): Holds one folder for each class.
        share (float): Of each class, the part that trains.
        seed (int): Seed of the split.

    Raises:
        FileNotFoundError: ``root`` is no folder.
        ValueError: ``share`` is not in (0, 1), there are fewer than two
            classes, or a class has fewer than two images.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"'{root}' does not exist or is no folder.")
    if not 0 < share < 1:
        raise ValueError(f'--train must be in (0, 1), got {share}.')
    folders = sorted(
        f for f in root.iterdir() if f.is_dir() and not is_hidden(f.name)
    )
    if len(folders) < 2:
        raise ValueError(f"'{root}' must hold at least two class folders.")
    split: dict[str, list] = {'train': [], 'val': [], 'test': []}
    for label, folder in enumerate(folders):
        names = sorted(
            file.name
            for file in folder.iterdir()
            if file.suffix.lower() in IMAGE_SUFFIXES
            and not is_hidden(file.name)
        )
        if len(names) < 2:
            raise ValueError(f"'{folder}' has {len(names)} images; need 2.")
        order = seeded_order(names, seed, salt=folder.name)
        count = part_sizes(len(names), (share, 1 - share))[0]
        for part, chosen in (
            ('train', order[:count]),
            ('test', order[count:]),
        ):
            split[part] += [
                [f'{folder.name}/{names[i]}', label, readable(folder.name)]
                for i in sorted(chosen)
            ]
    return split


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='holds the class folders')
    parser.add_argument('out', type=Path, help='the split file')
    parser.add_argument('--train', type=float, required=True)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args(argv)
    try:
        split = split_folder(args.folder, args.train, args.seed)
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from error
    write_record(args.out, split)
    sizes = ', '.join(f'{len(items)} {part}' for part, items in split.items())
    print(f'{args.out}: {sizes} images')


if __name__ == '__main__':
    main()
