"""Fakes of the benchmark's data sets in published layouts, and warnings."""

import json
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmpretrain.datasets.categories import (
    CIFAR10_CATEGORIES,
    CIFAR100_CATEGORIES,
    DTD_CATEGORIES,
    FGVCAIRCRAFT_CATEGORIES,
)
from PIL import Image
from scipy.io import savemat

TRAIN, TEST = 5, 2  # images of each class
Writer = Callable[[Path], None]


class Images:
    """Writes one small image under many names."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / 'image.jpg'
        Image.new('RGB', (20, 16), (200, 30, 30)).save(self.file)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(self.file, path)


def split_file(name: str, image_dir: str, names: list[str]) -> Callable:
    """Writer of a set with a split file of CoOp."""

    def write(root: Path, images: Images) -> None:
        split: dict[str, list] = {'train': [], 'val': [], 'test': []}
        parts = ['train'] * (TRAIN - 2) + ['val'] * 2 + ['test'] * TEST
        for label, class_name in enumerate(names):
            for i, part in enumerate(parts):
                path = f'{label}/{i}.jpg'
                split[part].append([path, label, class_name])
                images.write(root / image_dir / path)
        (root / name).write_text(json.dumps(split))

    return write


def aircraft(root: Path, images: Images) -> None:
    lines: dict[str, list[str]] = {'trainval': [], 'test': []}
    for label, name in enumerate(FGVCAIRCRAFT_CATEGORIES):
        for i in range(TRAIN + TEST):
            stem = f'{label}{i:03d}'
            images.write(root / 'data' / 'images' / f'{stem}.jpg')
            part = 'trainval' if i < TRAIN else 'test'
            lines[part].append(f'{stem} {name}')
    for part, text in lines.items():
        file = root / 'data' / f'images_variant_{part}.txt'
        file.write_text('\n'.join(text))


def dtd(root: Path, images: Images) -> None:
    names, labels, sets = [], [], []
    for label, name in enumerate(DTD_CATEGORIES, 1):
        for i in range(TRAIN + TEST):
            names.append(f'{name}/{name}_{i}.jpg')
            labels.append(label)
            sets.append(3 if i >= TRAIN else 1 + i % 2)
            images.write(root / 'images' / names[-1])
    (root / 'imdb').mkdir()
    content = {
        'name': np.array(names, object),
        'class': np.array(labels, np.uint8),
        'set': np.array(sets, np.uint8),
    }
    savemat(root / 'imdb' / 'imdb.mat', {'images': content})


def cell(values: list) -> np.ndarray:
    """A MATLAB cell, one item in each row."""
    array = np.empty((len(values), 1), object)
    array[:, 0] = values
    return array


def dogs(root: Path, images: Images) -> None:
    folders = ['n02085620-Chihuahua', 'n02085782-Japanese_spaniel']
    for part, numbers in (
        ('train', range(TRAIN)),
        ('test', range(TRAIN, TRAIN + TEST)),
    ):
        paths = [f'{f}/{f[:9]}_{i}.jpg' for f in folders for i in numbers]
        for path in paths:
            images.write(root / 'Images' / path)
        labels = np.repeat(np.uint8([[1], [2]]), len(numbers), 0)
        savemat(
            root / f'{part}_list.mat',
            {'file_list': cell(paths), 'labels': labels},
        )


def cifar(folder: str, key: str, files: tuple, names: tuple) -> Callable:
    def write(root: Path, images: Images) -> None:
        (root / folder).mkdir()
        for name, count in files:
            labels = [i for i in range(len(names)) for _ in range(count)]
            data = np.zeros((len(labels), 3072), np.uint8)
            with (root / folder / name).open('wb') as file:
                pickle.dump({'data': data, key: labels}, file)

    return write


def nabirds(root: Path, images: Images) -> None:
    classes = {295: 'Common Eider', 817: 'Oak Titmouse', 1010: 'Jay (Adult)'}
    rows = []
    for class_id in classes:
        for i in range(TRAIN + TEST):
            name = f'0{class_id}/{class_id}{i}ab.jpg'
            images.write(root / 'images' / name)
            number = f'{class_id:04d}00{i}e-21dc-4d0c'
            rows.append((number, name, class_id, int(i < TRAIN)))
    tables = {
        'images.txt': [(row[0], row[1]) for row in rows],
        'image_class_labels.txt': [(row[0], row[2]) for row in rows],
        'train_test_split.txt': [(row[0], row[3]) for row in rows],
        'classes.txt': [(0, 'Birds'), (1, 'Ducks'), *classes.items()],
    }
    for name, lines in tables.items():
        text = ''.join(f'{key} {value}\n' for key, value in lines)
        (root / name).write_text(text)


def imagenet(root: Path, images: Images) -> None:
    for folder in ('n01440764', 'n01443537'):
        for i in range(2 * TRAIN):
            images.write(root / 'train' / folder / f'{folder}_{i}.JPEG')
        for i in range(TEST):
            images.write(root / 'val' / folder / f'val_{i}.JPEG')


def grocery(root: Path, images: Images) -> None:
    folder = root / 'dataset'
    products = {36: ('Oatly-Oat-Milk', 2), 40: ('Soya-Milk', 2)}
    for part, count in (('train', TRAIN), ('val', 1), ('test', TEST)):
        lines = []
        for i, (name, coarse) in products.items():
            for number in range(count):
                path = f'{part}/Packages/Milk/{name}_{number}.jpg'
                images.write(folder / path)
                lines.append(f'{path}, {i}, {coarse}')
        (folder / f'{part}.txt').write_text('\n'.join(lines))
    rows = [
        'Class Name (str),Class ID (int),Coarse Class Name (str),'
        'Coarse Class ID (int)',
        'Golden-Delicious,0,Apple,0',
        *(f'{n},{i},Milk,{coarse}' for i, (n, coarse) in products.items()),
    ]
    (folder / 'classes.csv').write_text('\n'.join(rows))


TWO = ['annual crop', 'Sea_Lake']
CIFAR10_FILES = (
    *((f'data_batch_{i}', 1) for i in range(1, 6)),
    ('test_batch', TEST),
)
CIFAR100_FILES = (('train', TRAIN), ('test', TEST))
# Writer, number of classes, first class name, variable of the folder
SETS = {
    'flowers102': (
        split_file('split_zhou_OxfordFlowers.json', 'jpg', TWO),
        (2, 'annual crop', 'FLOWERS102_ROOT'),
    ),
    'cars': (
        split_file('split_zhou_StanfordCars.json', '', ['2012 BMW X6', 'b']),
        (2, '2012 BMW X6', 'CARS_ROOT'),
    ),
    'eurosat': (
        split_file('split_zhou_EuroSAT.json', '2750', TWO),
        (2, 'annual crop', 'EUROSAT_ROOT'),
    ),
    'ucf101': (
        split_file('split_zhou_UCF101.json', 'UCF-101-midframes', ['Yo_Yo']),
        (1, 'Yo Yo', 'UCF101_ROOT'),
    ),
    'resisc45': (
        split_file('split.json', 'NWPU-RESISC45', TWO),
        (2, 'annual crop', 'RESISC45_ROOT'),
    ),
    'patternnet': (
        split_file('split.json', 'images', TWO),
        (2, 'annual crop', 'PATTERNNET_ROOT'),
    ),
    'aircraft': (aircraft, (100, '707-320', 'AIRCRAFT_ROOT')),
    'dtd': (dtd, (47, 'banded', 'DTD_ROOT')),
    'dogs': (dogs, (2, 'Chihuahua', 'DOGS_ROOT')),
    'nabirds': (nabirds, (3, 'Common Eider', 'NABIRDS_ROOT')),
    'imagenet': (imagenet, (2, 'tench', 'IMAGENET_ROOT')),
    'grocery': (grocery, (2, 'Oatly Oat Milk', 'GROCERY_ROOT')),
    'cifar10': (
        cifar(
            'cifar-10-batches-py', 'labels', CIFAR10_FILES, CIFAR10_CATEGORIES
        ),
        (10, 'airplane', 'CIFAR10_ROOT'),
    ),
    'cifar100': (
        cifar(
            'cifar-100-python',
            'fine_labels',
            CIFAR100_FILES,
            CIFAR100_CATEGORIES,
        ),
        (100, 'apple', 'CIFAR100_ROOT'),
    ),
}


@pytest.fixture
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """``make('dtd')``: the root of a fake set, its variable set to it."""

    def make(name: str) -> Path:
        root = tmp_path / name
        root.mkdir()
        writer, (*_, variable) = SETS[name]
        writer(root, Images(tmp_path))
        monkeypatch.setenv(variable, str(root))
        # The sums of the real files; the fakes have others.
        monkeypatch.setattr(
            'mmpretrain.datasets.cifar.check_md5', lambda *_: True
        )
        return root

    make.facts = {name: facts for name, (_, facts) in SETS.items()}
    make.train, make.test = TRAIN, TEST
    return make


@pytest.fixture
def warnings():
    """Texts of the warnings that reach the current logger."""
    texts: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())

    handler = Keep(logging.WARNING)
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield texts
    logger.removeHandler(handler)
