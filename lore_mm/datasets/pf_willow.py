"""PF-WILLOW: ten key points on each of a hundred images."""

from itertools import permutations
from pathlib import Path, PurePosixPath

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from lore_mm.registry import DATASETS

from .pair_tables import numbers, read_table
from .pairs import PairDataset

_POINTS = 'pts_coord'
_NUM_POINTS = 10
# What scipy raises on files that are no .mat file, or a damaged one.
_FAULTS = (MatReadError, ValueError, TypeError, NotImplementedError, OSError)


@DATASETS.register_module()
class PFWillow(PairDataset):
    """PF-WILLOW (Ham et al., CVPR 2016), as published.

    A folder for each sub-class, such as ``car(G)``, with images and a
    ``.mat`` file for each (``pts_coord``, 2 x 10). Pairs are those of a CSV
    file, or all ordered pairs inside a sub-class. The set has no boxes: that
    of the target's key points takes their place, as is usual.

    Args:
        data_root (str): Folder ``PF-dataset-WILLOW``.
        pairs_file (str, optional): CSV file, absolute or below
            ``data_root``, with the columns ``imageA``, ``imageB``,
            ``XA1`` to ``XA10``, ``YA1`` .., ``XB1`` .., ``YB1`` ... Defaults
            to None: all ordered pairs, with the points of the ``.mat`` files.
        **kwargs: See :class:`PairDataset`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is malformed; see also :class:`PairDataset`.
    """

    def __init__(
        self, data_root: str, pairs_file: str | None = None, **kwargs
    ) -> None:
        self.pairs_file = pairs_file
        super().__init__(data_root, **kwargs)

    def load_pairs(self) -> list[dict]:
        """Pairs of the CSV file, or all there are."""
        root = Path(self.data_root)
        if self.pairs_file is not None:
            return self._from_table(root, root / self.pairs_file)
        pairs = []
        for folder in sorted(p for p in root.iterdir() if p.is_dir()):
            files = sorted(folder.glob('*.mat'))
            points = {file: read_mat(file) for file in files}
            for one, other in permutations(files, 2):
                pairs.append(
                    dict(
                        source=str(one.with_suffix('.png')),
                        target=str(other.with_suffix('.png')),
                        category=folder.name,
                        source_points=points[one],
                        target_points=points[other],
                        target_box=None,
                        annotation=str(other),
                    )
                )
        if not pairs:
            raise ValueError(
                f"'{root}' has no sub-folder with .mat files; data_root must "
                f'be the folder PF-dataset-WILLOW.'
            )
        return pairs

    def _from_table(self, root: Path, path: Path) -> list[dict]:
        columns = {
            side: [
                f'{axis}{side}{i}'
                for axis in 'XY'
                for i in range(1, _NUM_POINTS + 1)
            ]
            for side in 'AB'
        }
        needed = ['imageA', 'imageB', *columns['A'], *columns['B']]
        pairs = []
        for line, row in read_table(path, needed):
            points = [
                np.reshape(numbers(row, columns[side], path, line), (2, -1)).T
                for side in 'AB'
            ]
            images = [self._image(root, row[f'image{side}']) for side in 'AB']
            pairs.append(
                dict(
                    source=str(images[0]),
                    target=str(images[1]),
                    category=images[0].parent.name,
                    source_points=points[0],
                    target_points=points[1],
                    target_box=None,
                    annotation=str(path),
                )
            )
        return pairs

    @staticmethod
    def _image(root: Path, name: str) -> Path:
        """Image of the CSV file, whose paths begin with the folder's name."""
        parts = PurePosixPath(name).parts
        below = root.joinpath(*parts[1:])
        return below if len(parts) > 1 and below.is_file() else root / name


def read_mat(path: Path) -> np.ndarray:
    """Key points (n, 2), x before y, of a ``.mat`` file of PF-WILLOW.

    Raises:
        ValueError: The file is damaged or has no 2 x n ``pts_coord``.
    """
    try:
        points = loadmat(path).get(_POINTS)
    except _FAULTS as error:
        raise ValueError(f"'{path}' is no .mat file: {error}.") from error
    if points is None or points.ndim != 2 or len(points) != 2:
        shape = 'is missing' if points is None else f'has {points.shape}'
        raise ValueError(f"'{path}': {_POINTS} must be 2 x n, but {shape}.")
    return points.T.astype(np.float64)
