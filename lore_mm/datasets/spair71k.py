"""SPair-71k: pairs of images of 18 kinds of objects."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from lore_mm.registry import DATASETS

from .pairs import PairDataset
from .records import read_record, write_record
from .sampling import check_part

_SPLITS = {'train': 'trn', 'val': 'val', 'test': 'test'}
_SIZES = ('large', 'small')
# Our names of what an annotation holds.
_KEYS = dict(
    source='src_imname',
    target='trg_imname',
    source_size='src_imsize',
    target_size='trg_imsize',
    source_points='src_kps',
    target_points='trg_kps',
    target_box='trg_bndbox',
    category='category',
)
_VERSION = 1  # raise it when what the index holds changes


@DATASETS.register_module()
class SPair71k(PairDataset):
    """SPair-71k (Min et al., 2019), as published.

    ``Layout/<size>/<split>.txt`` lists the pairs, ``PairAnnotation/<split>/``
    holds a JSON file for each, ``JPEGImages/<category>/`` the images. The
    12,234 files of the test split are read once; what they hold is kept in
    one file, which is made anew when any of them changes.

    Args:
        data_root (str): Folder ``SPair-71k``.
        split (str): ``'train'``, ``'val'`` or ``'test'``. Defaults to
            ``'test'``.
        size (str): Layout ``'large'`` or ``'small'``. Defaults to
            ``'large'``, the benchmark.
        index_dir (str, optional): Folder of the index. Defaults to None:
            ``$LORE_CACHE``, or ``~/.cache/lore_mm``.
        **kwargs: See :class:`PairDataset`.

    Raises:
        FileNotFoundError: If a list, annotation or image is missing.
        ValueError: If an annotation is malformed; see also
            :class:`PairDataset`.
    """

    METAINFO: dict = dict(
        classes=(
            'aeroplane',
            'bicycle',
            'bird',
            'boat',
            'bottle',
            'bus',
            'car',
            'cat',
            'chair',
            'cow',
            'dog',
            'horse',
            'motorbike',
            'person',
            'pottedplant',
            'sheep',
            'train',
            'tvmonitor',
        )
    )

    def __init__(
        self,
        data_root: str,
        split: str = 'test',
        size: str = 'large',
        index_dir: str | None = None,
        **kwargs,
    ) -> None:
        self.split = check_part(split, tuple(_SPLITS))
        self.size = check_part(size, _SIZES, 'size')
        self.index_dir = index_dir
        super().__init__(data_root, **kwargs)

    def load_pairs(self) -> list[dict]:
        """Read the index, or the annotations."""
        root = Path(self.data_root)
        files = self._files(root)
        index = self._index_file(files)
        pairs = self._read_index(index)
        if pairs is None:
            pairs = [_read_annotation(file) for file in files]
            self._write_index(index, pairs)
        for pair, file in zip(pairs, files, strict=True):
            folder = root / 'JPEGImages' / pair['category']
            pair['annotation'] = str(file)
            for side in ('source', 'target'):
                pair[side] = str(folder / pair[side])
        return pairs

    def _files(self, root: Path) -> list[Path]:
        """Annotations of the split, in the order of the list."""
        split = _SPLITS[self.split]
        layout = root / 'Layout' / self.size / f'{split}.txt'
        if not layout.is_file():
            raise FileNotFoundError(
                f"'{layout}' does not exist; data_root must be the folder "
                f'SPair-71k.'
            )
        names = layout.read_text('utf-8').split()
        if not names:
            raise ValueError(f"'{layout}' lists no pairs.")
        folder = root / 'PairAnnotation' / split
        # Some copies have the colon replaced, which not all disks allow.
        present = {entry.name for entry in os.scandir(_folder(folder))}
        files = []
        for name in names:
            forms = (f'{name}.json', f'{name.replace(":", "_")}.json')
            found = next((form for form in forms if form in present), None)
            if found is None:
                raise FileNotFoundError(
                    f"'{folder / forms[0]}' does not exist; it is listed in "
                    f"'{layout}'."
                )
            files.append(folder / found)
        return files

    def _index_file(self, files: list[Path]) -> Path:
        """Its name follows from names, sizes and times of the annotations."""
        folder = files[0].parent.resolve()
        digest = hashlib.sha256(f'{_VERSION}\n{folder}\n'.encode())
        for file in files:
            facts = file.stat()
            line = f'{file.name}\n{facts.st_size}\n{facts.st_mtime_ns}\n'
            digest.update(line.encode())
        return _cache_folder(self.index_dir) / f'{digest.hexdigest()}.json'

    @staticmethod
    def _read_index(path: Path) -> list[dict] | None:
        try:
            record = read_record(path)
        except (ValueError, OSError) as error:
            print_log(
                f'The index {path} is read anew: {error}',
                logger='current',
                level=logging.WARNING,
            )
            return None
        return None if record is None else record['pairs']

    @staticmethod
    def _write_index(path: Path, pairs: list[dict]) -> None:
        try:
            write_record(path, dict(pairs=pairs))
        except OSError as error:
            print_log(
                f'The index of the pairs is not kept, {path.parent} cannot '
                f'be written ({error.strerror}); set LORE_CACHE or index_dir '
                f'to another folder.',
                logger='current',
                level=logging.WARNING,
            )


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise FileNotFoundError(
            f"'{path}' does not exist; data_root must be the folder SPair-71k."
        )
    return path


def _cache_folder(chosen: str | None) -> Path:
    chosen = chosen or os.environ.get('LORE_CACHE') or '~/.cache/lore_mm'
    return Path(chosen).expanduser() / 'spair71k'


def _read_annotation(path: Path) -> dict[str, Any]:
    """What is needed of one annotation, under our names.

    Raises:
        ValueError: It is no JSON, or lacks a key.
    """
    found = read_record(path)
    missing = [key for key in _KEYS.values() if key not in found]
    if missing:
        raise ValueError(f"'{path}' has no {', '.join(missing)}.")
    pair = {ours: found[theirs] for ours, theirs in _KEYS.items()}
    for side in ('source_size', 'target_size'):
        try:
            width, height = pair[side][:2]
            pair[side] = [int(width), int(height)]
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"'{path}': {_KEYS[side]} must be width and height, got "
                f'{pair[side]!r}.'
            ) from error
    for key in ('source', 'target', 'category'):
        if not isinstance(pair[key], str):
            raise ValueError(
                f"'{path}': {_KEYS[key]} must be a name, got {pair[key]!r}."
            )
    return pair
