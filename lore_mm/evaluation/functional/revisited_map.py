"""Mean average precision by the revisited Oxford / Paris protocol.

Protocol: Radenovic et al., "Revisiting Oxford and Paris: Large-Scale Image
Retrieval Benchmarking", CVPR 2018.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor, bfloat16

# Which lists count as positive and which are left out of the ranking.
PROTOCOLS = {
    'easy': (('easy',), ('junk', 'hard')),
    'medium': (('easy', 'hard'), ('junk',)),
    'hard': (('hard',), ('junk', 'easy')),
}
LISTS = ('easy', 'hard', 'junk')


class QueryScores(NamedTuple):
    """Scores of each query; NaN where a query has no positives.

    Attributes:
        ap (dict): Average precision (n_q,) by protocol, 0..1.
        precision (dict): Precision (n_q, len(ks)) by protocol, 0..1.
    """

    ap: dict[str, np.ndarray]
    precision: dict[str, np.ndarray]


def revisited_map(
    similarity: np.ndarray | Tensor,
    gnd: Sequence[Mapping],
    ks: Sequence[int] = (1, 5, 10),
) -> dict[str, float]:
    """Score a retrieval by the Easy, Medium and Hard protocols.

    Ties are ranked in the order of the database. No matrix of ranks is made:
    counting the scores above each positive is enough.

    Args:
        similarity (np.ndarray | Tensor): Scores (n_q, n_db), higher is nearer.
            They are compared as they are, without a change of precision.
        gnd (Sequence[Mapping]): For each query the lists ``easy``, ``hard``
            and ``junk`` of 0-based database indices.
        ks (Sequence[int]): Where to cut for mP@k. Defaults to (1, 5, 10).

    Returns:
        dict[str, float]: ``mAP/easy``, ``mP@1/easy``, ... in per cent. A query
        without positives is left out of a protocol's mean; if none has any,
        the mean is NaN.

    Raises:
        ValueError: There is no query, shapes do not fit, a score is NaN, or
            ``gnd`` names an image that is not in the database.
    """
    return mean_scores(revisited_scores(similarity, gnd, ks), ks)


def revisited_scores(
    similarity: np.ndarray | Tensor,
    gnd: Sequence[Mapping],
    ks: Sequence[int] = (1, 5, 10),
) -> QueryScores:
    """Scores of each query; arguments and errors of :func:`revisited_map`."""
    if similarity.ndim != 2:
        raise ValueError(
            f'similarity must have the shape (n_q, n_db), got '
            f'{tuple(similarity.shape)}.'
        )
    num_queries, num_images = similarity.shape
    if num_queries == 0:
        raise ValueError('there is no query: similarity has no row.')
    if len(gnd) != num_queries:
        raise ValueError(
            f'gnd must have one entry for each of the {num_queries} rows of '
            f'similarity, got {len(gnd)}.'
        )
    if any(not isinstance(k, int | np.integer) or k < 1 for k in ks):
        raise ValueError(f'ks must be integers from 1 on, got {ks}.')
    ap = {name: np.full(num_queries, np.nan) for name in PROTOCOLS}
    precision = {
        name: np.full((num_queries, len(ks)), np.nan) for name in PROTOCOLS
    }
    for query, entry in enumerate(gnd):
        lists = {
            name: _indices(entry, name, query, num_images) for name in LISTS
        }
        ranks = _ranks(_row(similarity, query), lists, query)
        for name, (positive, junk) in PROTOCOLS.items():
            found = _without_junk(ranks, positive, junk)
            if len(found):
                ap[name][query] = _average_precision(found)
                precision[name][query] = _precision(found, ks)
    return QueryScores(ap, precision)


def mean_scores(
    scores: QueryScores, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """Means of :func:`revisited_scores` in per cent, by metric names."""
    means = {}
    for name in PROTOCOLS:
        counted = ~np.isnan(scores.ap[name])
        ap, precision = scores.ap[name], scores.precision[name]
        some = bool(counted.any())
        means[f'mAP/{name}'] = (
            100 * float(ap[counted].mean()) if some else float('nan')
        )
        for i, k in enumerate(ks):
            column = precision[counted, i]
            means[f'mP@{k}/{name}'] = (
                100 * float(column.mean()) if some else float('nan')
            )
    return means


def _indices(
    entry: Mapping, name: str, query: int, num_images: int
) -> np.ndarray:
    """Database indices of one list of a query, each once, ascending."""
    if name not in entry:
        raise ValueError(f'gnd[{query}] has no list {name!r}.')
    given = np.asarray(entry[name])
    if given.size == 0:
        return np.empty(0, np.int64)
    if given.ndim != 1 or given.dtype.kind not in 'iu':
        raise ValueError(
            f'gnd[{query}][{name!r}] must be a list of integers, got '
            f'{entry[name]!r:.80}.'
        )
    indices = np.unique(given).astype(np.int64)
    wrong = indices[(indices < 0) | (indices >= num_images)]
    if len(wrong):
        raise ValueError(
            f'gnd[{query}][{name!r}] names the image {wrong[0]}, but the '
            f'database has {num_images} images (0 to {num_images - 1}).'
        )
    return indices


def _row(similarity: np.ndarray | Tensor, query: int) -> np.ndarray:
    """The scores of a query; a conversion never changes their order."""
    row = similarity[query]
    if isinstance(row, Tensor):
        row = row.detach().cpu()
        row = (row.float() if row.dtype == bfloat16 else row).numpy()
    return np.ascontiguousarray(row)


def _ranks(
    scores: np.ndarray, lists: Mapping[str, np.ndarray], query: int
) -> dict[str, np.ndarray]:
    """0-based ranks of the images of each list, ascending.

    A rank is the number of higher scores, and of equal ones before it.
    """
    ordered = np.sort(scores)  # of values alone: much faster than argsort
    if len(ordered) and np.isnan(ordered[-1]):
        raise ValueError(f'similarity[{query}] holds NaN.')
    ranks = {}
    for name, indices in lists.items():
        values = scores[indices]
        after = np.searchsorted(ordered, values, 'right')
        rank = len(ordered) - after
        equal = after - np.searchsorted(ordered, values, 'left')
        for value in np.unique(values[equal > 1]):
            same = values == value
            places = np.flatnonzero(scores == value)
            rank[same] += np.searchsorted(places, indices[same])
        ranks[name] = np.sort(rank)
    return ranks


def _without_junk(
    ranks: Mapping[str, np.ndarray],
    positive: Sequence[str],
    junk: Sequence[str],
) -> np.ndarray:
    """Ranks of the positives, ascending, as if there were no junk."""
    found = np.unique(np.concatenate([ranks[name] for name in positive]))
    left_out = np.unique(np.concatenate([ranks[name] for name in junk]))
    return found - np.searchsorted(left_out, found)


def _average_precision(ranks: np.ndarray) -> float:
    """Trapezoidal average precision of 0-based ranks, ascending."""
    ranks = ranks.astype(np.float64)
    before = np.arange(len(ranks), dtype=np.float64)
    precision = np.where(ranks == 0, 1.0, before / np.maximum(ranks, 1.0))
    following = (before + 1) / (ranks + 1)
    return float((precision + following).sum() / (2 * len(ranks)))


def _precision(ranks: np.ndarray, ks: Sequence[int]) -> list[float]:
    """Precision among the first k, but never past the last positive."""
    cuts = [min(k, int(ranks[-1]) + 1) for k in ks]
    return [np.count_nonzero(ranks < cut) / cut for cut in cuts]
