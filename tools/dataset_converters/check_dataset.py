"""Check a downloaded data set: counts, class names, readable images.

    FLOWERS102_ROOT=/data/oxford_flowers \
    python tools/dataset_converters/check_dataset.py flowers102

The name is that of a file in ``configs/_base_/datasets``; without a name all
sets are looked for. ``--images 100`` reads so many images of each split
(default 50, 0 for none, -1 for all). What a whole set must hold, and where to
get it, is in ``data_sets.yaml`` beside this file. A part of a set passes with
``--part``: its counts are told, not compared.
"""

import argparse
import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from lore_mm.datasets.loading import LoadRGBImage
from lore_mm.datasets.sampling import seeded_order
from lore_mm.engine.failures import run_main
from lore_mm.utils import find_config

FACTS = Path(__file__).with_name('data_sets.yaml')
SPLITS = ('train', 'val', 'test')
# What data sets raise on files that are absent or malformed.
FAULTS = (ValueError, OSError, RuntimeError, AssertionError)


def load_facts() -> dict[str, dict]:
    """What each set must hold, by the name of its config."""
    return yaml.safe_load(FACTS.read_text('utf-8'))


def read_set(name: str) -> Config:
    """The config of a data set.

    Raises:
        ValueError: There is none of that name, or none to train and test on.
    """
    known = load_facts()
    try:
        cfg = Config.fromfile(find_config(f'_base_/datasets/{name}.py'))
    except FileNotFoundError as error:  # names configs that can be run
        near = difflib.get_close_matches(name, known, n=1)
        hint = f'did you mean {near[0]}?' if near else 'whole sets are known '
        hint += '' if near else f'of {", ".join(known)}.'
        raise ValueError(f'there is no data set {name!r}; {hint}') from error
    missing = [part for part in SPLITS if f'{part}_dataloader' not in cfg]
    if missing:
        raise ValueError(
            f'{name} has no images to {", ".join(missing)}: sets of other '
            f'tasks are checked by tools/test.py, before it runs.'
        )
    return cfg


def innermost(dataset: dict) -> dict:
    """The config inside of wrappers that hold images out."""
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def splits_of(cfg: Config) -> dict[str, dict]:
    """Config of each split's whole data set; val only where it is its own."""
    found = {
        name: innermost(cfg[f'{name}_dataloader'].dataset) for name in SPLITS
    }
    if found['val'].get('split') == found['train'].get('split'):
        del found['val']
    return found


def check(name: str, images: int, part: bool) -> Iterator[str]:
    """Faults of a data set, in words; prints what is right.

    Args:
        name (str): A file of ``configs/_base_/datasets``, without ``.py``.
        images (int): Images to read of each split; -1 for all.
        part (bool): Do not compare the counts with the whole set's.
    """
    facts = load_facts().get(name, {})
    for split, dataset_cfg in splits_of(read_set(name)).items():
        try:
            with DefaultScope.overwrite_default_scope('mmpretrain'):
                dataset = DATASETS.build(dataset_cfg)
                dataset.full_init()
        except FAULTS as error:
            yield f'{split}: {error}'
            continue
        classes = dataset.metainfo['classes']
        print(f'{name} {split}: {len(dataset)} images, {len(classes)} classes')
        if not part:
            yield from compare(split, dataset, facts)
        yield from names(split, classes)
        yield from unreadable(dataset, images)


def compare(split: str, dataset: object, facts: dict) -> Iterator[str]:
    """Counts that are not those of the whole set."""
    found = dict(images=len(dataset), classes=len(dataset.metainfo['classes']))
    wanted = dict(images=facts.get(split), classes=facts.get('classes'))
    for what, number in wanted.items():
        if number is not None and found[what] != number:
            yield (
                f'{split}: {found[what]} {what}, the whole set has {number}'
            )


def names(split: str, classes: Sequence[str]) -> Iterator[str]:
    """Class names that a text encoder could not tell apart, or read."""
    for name in sorted({c for c in classes if classes.count(c) > 1}):
        yield f'{split}: two classes are named {name!r}'
    for name in classes:
        if not name.strip() or name.isdigit():
            yield f'{split}: a class is named {name!r}, no words'


def unreadable(dataset: object, number: int) -> Iterator[str]:
    """Images that cannot be decoded, among ``number`` drawn ones."""
    load = LoadRGBImage()
    order = seeded_order([str(i) for i in range(len(dataset))], 0)
    for i in order if number < 0 else order[:number]:
        info = dataset.get_data_info(i)
        if 'img_path' not in info:
            return  # it holds pixels
        try:
            load(dict(img_path=info['img_path']))
        except (ValueError, OSError) as error:
            yield str(error)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    facts = load_facts()
    parser.add_argument('names', nargs='*', metavar='NAME', default=[])
    parser.add_argument('--images', type=int, default=50)
    parser.add_argument('--part', action='store_true')
    args = parser.parse_args(argv)
    for name in args.names:
        read_set(name)  # told before the work on the others
    failed = False
    for name in args.names or facts:
        faults = list(check(name, args.images, args.part))
        for fault in faults:
            print(f'{name}: {fault}')
        if faults and name in facts:
            print(f'{name}: get it: {facts[name]["get"]}')
        print(f'{name}: {"not usable as it is" if faults else "ok"}')
        failed = failed or bool(faults)
    sys.exit(int(failed))


if __name__ == '__main__':
    run_main(main)
