r"""Write the ground truth of product retrieval on Grocery Store.

    python tools/dataset_converters/make_grocery_gnd.py \
        data/GroceryStoreDataset

The folder is the set as it is published. Database: the training images;
queries: every fourth test image, in the order of ``test.txt``; all images of
the query's product are easy. ``configs/retrieval/vit-s_grocery.py`` reads the
file, ``gnd_grocery.json`` in that folder.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lore_mm.datasets import GroceryStore
from lore_mm.datasets.records import write_record
from lore_mm.datasets.revisited_ground_truth import check_ground_truth
from lore_mm.engine.failures import run_main

EVERY = 4


def grocery_truth(root: Path) -> dict[str, list]:
    """``imlist``, ``qimlist`` and ``gnd``; see ``read_ground_truth``.

    Args:
        root (Path): Holds ``dataset/``.

    Raises:
        FileNotFoundError: A list or an image is missing.
        ValueError: A list is malformed, or no query has a positive.
    """
    images = _images(root, 'train')
    queries = _images(root, 'test')[::EVERY]
    gnd = []
    for path, label in queries:
        with Image.open(path) as img:
            box = [0, 0, *img.size]
        easy = [i for i, (_, other) in enumerate(images) if other == label]
        gnd.append(dict(bbx=box, easy=easy, hard=[], junk=[]))
    truth = dict(
        imlist=[_name(path, root) for path, _ in images],
        qimlist=[_name(path, root) for path, _ in queries],
        gnd=gnd,
    )
    check_ground_truth(truth)
    return truth


def _images(root: Path, split: str) -> list[tuple[str, int]]:
    """Path and label of each image of a split."""
    dataset = GroceryStore(str(root), split=split)
    items = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(item['img_path'], item['gt_label']) for item in items]


def _name(path: str, root: Path) -> str:
    """As the ground truth names it: below ``dataset/``, no extension."""
    below = Path(path).relative_to(root.expanduser() / 'dataset')
    return below.with_suffix('').as_posix()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='holds dataset/')
    parser.add_argument(
        '--out', type=Path, help='default: gnd_grocery.json in the folder'
    )
    args = parser.parse_args(argv)
    truth = grocery_truth(args.folder)
    out = args.out or args.folder / 'gnd_grocery.json'
    write_record(out, truth)
    counts = len(truth['qimlist']), len(truth['imlist'])
    print(f'{out}: {counts[0]} queries, {counts[1]} images')


if __name__ == '__main__':
    run_main(main)
