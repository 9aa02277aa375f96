"""Pairs of your own, from one CSV file."""

from pathlib import Path

from lore_mm.registry import DATASETS

from .pair_tables import numbers, read_table
from .pairs import PairDataset

_POINTS = ('source_x', 'source_y', 'target_x', 'target_y')
_BOX = ('x1', 'y1', 'x2', 'y2')
_REQUIRED = ('source', 'target', *_POINTS)


@DATASETS.register_module()
class PairsCSV(PairDataset):
    """Pairs of images from a CSV file with one line per key point.

    Columns: ``source``, ``target`` (images, paths below ``data_root``),
    ``source_x``, ``source_y``, ``target_x``, ``target_y`` (pixels of the
    original images) and, if wanted, ``category`` and ``x1``, ``y1``, ``x2``,
    ``y2``, the box of the object in the target. Without a box that of the
    target's key points is taken. Lines of one pair need not be neighbours;
    those of two images that differ in category or box are two pairs, one for
    each object.

    Args:
        data_root (str): Folder of the images.
        pairs_file (str): The CSV file, absolute or below ``data_root``.
            Defaults to ``'pairs.csv'``.
        **kwargs: See :class:`PairDataset`.

    Raises:
        FileNotFoundError: If the file or an image is missing.
        ValueError: If the file is malformed; see also :class:`PairDataset`.
    """

    def __init__(
        self, data_root: str, pairs_file: str = 'pairs.csv', **kwargs
    ) -> None:
        self.pairs_file = pairs_file
        super().__init__(data_root, **kwargs)

    def load_pairs(self) -> list[dict]:
        """Gather the lines of each pair of objects."""
        root = Path(self.data_root)
        path = root / self.pairs_file  # an absolute file stays
        pairs: dict[tuple, dict] = {}
        for line, row in read_table(path, _REQUIRED):
            category = row.get('category') or 'all'
            box = self._box(row, path, line)
            pair = pairs.setdefault(
                (row['source'], row['target'], category, box and tuple(box)),
                dict(
                    source=str(root / row['source']),
                    target=str(root / row['target']),
                    category=category,
                    source_points=[],
                    target_points=[],
                    target_box=box,
                    annotation=str(path),
                ),
            )
            values = numbers(row, _POINTS, path, line)
            pair['source_points'].append(values[:2])
            pair['target_points'].append(values[2:])
        return list(pairs.values())

    @staticmethod
    def _box(row: dict, path: Path, line: int) -> list[float] | None:
        given = [name for name in _BOX if row.get(name)]
        if not given:
            return None
        if len(given) < len(_BOX):
            raise ValueError(
                f"'{path}', line {line}: a box needs all of "
                f'{", ".join(_BOX)}, got {", ".join(given)}.'
            )
        return numbers(row, _BOX, path, line)
