"""Score a folder of masks, whoever made it."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from lore_mm.datasets.davis_masks import VOID, load_mask

from .davis_metric import score_sequence


def score_folder(
    pred_dir: str | Path,
    records: Iterable[Mapping],
    processes: int = 1,
    bound_th: float = 0.008,
) -> dict[str, np.ndarray]:
    """Score masks in DAVIS's layout, ``<pred_dir>/<sequence>/00000.png``.

    Args:
        pred_dir (str | Path): Palette or gray PNG files, named as the true
            ones. Those of the first and the last frame, which are not
            scored, are not looked at.
        records (Iterable[Mapping]): ``sequence``, ``ann_paths`` and
            ``void_id`` of each video, as :class:`DAVISDataset` has them.
        processes (int): Videos scored at the same time. Defaults to 1.
        bound_th (float): See
            :func:`lore_mm.evaluation.functional.boundary_accuracy`.

    Returns:
        dict[str, np.ndarray]: (2, objects, frames - 2) by sequence: J and F,
        for :func:`davis_figures`.

    Raises:
        FileNotFoundError: A mask is missing.
        ValueError: ``processes`` is below 1, or masks do not fit; see
            :func:`score_sequence`. Nor may they hold 255 where it does not
            stand for the object.
    """
    if processes < 1:
        raise ValueError(f'processes must be at least 1, got {processes}.')
    records = list(records)
    score = partial(_score, Path(pred_dir), bound_th)
    if processes == 1:
        found = map(score, records)
        return {r['sequence']: s for r, s in zip(records, found, strict=True)}
    # The longest first, so that no process is left with it at the end.
    records.sort(key=lambda record: -len(record['ann_paths']))
    with ProcessPoolExecutor(processes, get_context('fork')) as pool:
        found = pool.map(score, records)
        return {r['sequence']: s for r, s in zip(records, found, strict=True)}


def _score(pred_dir: Path, bound_th: float, record: Mapping) -> np.ndarray:
    name, paths = record['sequence'], record['ann_paths']
    void_id = record['void_id']
    truth = (load_mask(path, void_id) for path in paths)
    ends = paths[0], paths[-1]
    pred = (
        load_mask(path, void_id)
        if path in ends
        else _predicted(pred_dir / name / f'{Path(path).stem}.png', void_id)
        for path in paths
    )
    return score_sequence(pred, truth, name, bound_th)


def _predicted(path: Path, void_id: int) -> np.ndarray:
    """A mask in which 255, void in a true one, is no id."""
    mask = load_mask(path, void_id or VOID)
    if (mask == VOID).any():
        raise ValueError(
            f"mask '{path}' holds {VOID}, which is no object: save ids from "
            '1, or score masks of 0 and 255 with the year 2016.'
        )
    return mask
