"""DAVIS's seven figures, its CSV files and its folder of results."""

import csv
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from lore_mm.datasets.davis_masks import load_mask, save_mask
from lore_mm.engine.files import replace_when_done
from lore_mm.evaluation.functional import davis_statistics, score_frame
from lore_mm.registry import METRICS
from lore_mm.utils.outputs import check_folder

GLOBAL_CSV = 'global_results.csv'
SEQUENCE_CSV = 'per-sequence_results.csv'
# First and last frame are not scored.
_MIN_FRAMES = 3
_STATISTICS = ('Mean', 'Recall', 'Decay')
_ADVICE = 'choose another out_dir'


def score_sequence(
    pred: Iterable[np.ndarray],
    gt: Iterable[np.ndarray],
    name: str = 'video',
    bound_th: float = 0.008,
) -> np.ndarray:
    """J and F of a video, reading two masks at a time.

    Objects are 1 to the greatest id of the first true mask. First and last
    frame are not scored.

    Args:
        pred (Iterable[np.ndarray]): Predicted ids (H, W) of all frames.
        gt (Iterable[np.ndarray]): True ids, likewise; void is 0 already.
        name (str): For messages. Defaults to ``'video'``.
        bound_th (float): See
            :func:`lore_mm.evaluation.functional.boundary_accuracy`.

    Returns:
        np.ndarray: (2, objects, frames - 2): J, then F.

    Raises:
        ValueError: Masks differ in number or size, more ids are predicted
            than there are objects, or fewer than 3 frames.
    """
    scores = []
    num_objects = 0
    for index, (each, truth) in enumerate(zip_longest(pred, gt)):
        if each is None or truth is None:
            raise ValueError(
                f"'{name}' must have as many predicted as true masks; the "
                f'{"predicted" if each is None else "true"} end after {index}.'
            )
        if index == 0:
            num_objects = int(truth.max())
        _check_pair(each, truth, num_objects, f"'{name}', frame {index}")
        if index > 0:
            scores.append(score_frame(each, truth, num_objects, bound_th))
    if len(scores) + 1 < _MIN_FRAMES:
        raise ValueError(
            f"'{name}' has {len(scores) + 1} frames; the first and the last "
            f'are not scored, so at least {_MIN_FRAMES} are needed.'
        )
    if not num_objects:
        raise ValueError(f"the first true mask of '{name}' holds no object.")
    return np.stack(scores[:-1]).transpose(2, 1, 0)


def _check_pair(
    pred: np.ndarray, gt: np.ndarray, num_objects: int, where: str
) -> None:
    if pred.shape != gt.shape:
        raise ValueError(
            f'{where}: the predicted mask has {pred.shape[0]} x '
            f'{pred.shape[1]} pixels, the true one {gt.shape[0]} x '
            f'{gt.shape[1]}.'
        )
    if pred.max() > num_objects:
        raise ValueError(
            f'{where}: id {pred.max()} is predicted, but the first true mask '
            f'has {num_objects} objects.'
        )


def davis_figures(scores: Sequence[np.ndarray]) -> dict[str, float]:
    """DAVIS's seven figures: means over objects, not sequences.

    Args:
        scores (Sequence[np.ndarray]): (2, objects, frames) of each video, as
            :func:`score_sequence` gives.

    Returns:
        dict[str, float]: ``J&F-Mean``, ``J-Mean``, ``J-Recall``,
        ``J-Decay``, ``F-Mean``, ``F-Recall``, ``F-Decay``, in [0, 1].
    """
    figures = {}
    for row, letter in enumerate('JF'):
        each = [davis_statistics(o) for video in scores for o in video[row]]
        for name, value in zip(_STATISTICS, np.mean(each, 0), strict=True):
            figures[f'{letter}-{name}'] = float(value)
    both = (figures['J-Mean'] + figures['F-Mean']) / 2
    return {'J&F-Mean': both, **figures}


def write_csv(folder: Path, scores: dict[str, np.ndarray]) -> None:
    """Write both tables of the official evaluation anew.

    Args:
        folder (Path): It is made.
        scores (dict[str, np.ndarray]): (2, objects, frames) by sequence.
    """
    figures = davis_figures(list(scores.values()))
    rows = []
    for name, video in sorted(scores.items()):
        for i, (j, f) in enumerate(video.mean(2).T, 1):
            rows.append((f'{name}_{i}', *_digits((j + f) / 2, j, f)))
    header = ('Sequence', 'J&F-Mean', 'J-Mean', 'F-Mean')
    _write(folder / GLOBAL_CSV, tuple(figures), [_digits(*figures.values())])
    _write(folder / SEQUENCE_CSV, header, rows)


def _digits(*values: float) -> tuple[str, ...]:
    return tuple(f'{value:.6f}' for value in values)


def _write(path: Path, header: Sequence[str], rows: list) -> None:
    check_folder(path.parent, 'results', _ADVICE)
    if path.exists():
        MMLogger.get_current_instance().info(f'{path} is replaced')
    with replace_when_done(path) as temp, temp.open('w', newline='') as file:
        csv.writer(file).writerows([header, *rows])


@METRICS.register_module()
class DAVISMetric(BaseMetric):
    """Score videos as the official DAVIS-2017 evaluation does.

    Reads from each data sample ``pred_masks``, ids (H, W) of all frames, and
    the meta information ``sequence``, ``img_paths``, ``ann_paths`` and
    ``void_id``. True masks are read one at a time.

    Args:
        out_dir (str, optional): Where masks go, as
            ``<out_dir>/<sequence>/00000.png`` with DAVIS's palette, ready to
            be handed in, and the two CSV files. Old files are replaced.
            Defaults to None: nothing is written.
        bound_th (float): How far apart boundaries may lie, as a share of the
            diagonal. Defaults to 0.008.
        format_only (bool): Only write masks: for splits without truth. Needs
            ``out_dir``. Defaults to False.
        collect_device (str): As in mmengine. Defaults to ``'cpu'``.
        prefix (str, optional): Put before the names. Defaults to None.

    Raises:
        ValueError: ``format_only`` without ``out_dir``, or ``out_dir`` cannot
            be written; or there is no truth to score, or masks do not fit,
            see :func:`score_sequence`.
    """

    # The official names stand alone.
    default_prefix = ''

    def __init__(
        self,
        out_dir: str | None = None,
        bound_th: float = 0.008,
        format_only: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if format_only and out_dir is None:
            raise ValueError('format_only=True needs an out_dir to write to.')
        self.out_dir = out_dir and check_folder(out_dir, 'results', _ADVICE)
        self.bound_th = bound_th
        self.format_only = format_only

    @property
    def dataset_meta(self) -> dict | None:
        """Facts of the data set; ``annotations`` is read where it is one."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        # Set before the first video is worked on, which can take minutes.
        kind = (dataset_meta or {}).get('annotations')
        if kind == 'first' and not self.format_only:
            raise ValueError(
                "annotations='first' has no truth to score: set "
                'test_evaluator.format_only=True with an out_dir, or '
                "annotations='all'."
            )
        self._dataset_meta = dataset_meta

    def process(
        self, data_batch: dict | None, data_samples: Sequence[dict]
    ) -> None:
        """Score and write the videos of a batch."""
        for sample in data_samples:
            name, masks = sample['sequence'], sample['pred_masks']
            if self.out_dir is not None:
                self._save(name, sample['img_paths'], masks)
            scores = None
            if not self.format_only:
                truth = (
                    load_mask(path, sample['void_id'])
                    for path in sample['ann_paths']
                )
                scores = score_sequence(masks, truth, name, self.bound_th)
            self.results.append((name, scores))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The seven figures of the videos of all processes.

        Args:
            results (list): Name and scores of each video.
        """
        if self.format_only:
            logger = MMLogger.get_current_instance()
            logger.info(f'{len(results)} videos are written to {self.out_dir}')
            return {}
        scores = dict(results)  # a padded shard may hold a video twice
        if self.out_dir is not None:
            write_csv(self.out_dir, scores)
        return davis_figures(list(scores.values()))

    def _save(
        self, name: str, img_paths: Sequence[str], masks: Iterable[np.ndarray]
    ) -> None:
        for path, mask in zip(img_paths, masks, strict=True):
            save_mask(self.out_dir / name / f'{Path(path).stem}.png', mask)
