"""Exact search among descriptors, in blocks; faiss beyond that."""

from collections.abc import Iterator
from types import ModuleType

import numpy as np

_BACKENDS = ('exact', 'faiss')
# Sizes that keep a block of products in tens of megabytes.
_IMAGES = 16384
_BYTES = 2**27


def similarity_blocks(
    queries: np.ndarray,
    database: np.ndarray,
    max_bytes: int = _BYTES,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Scores of a few queries at a time against the whole database.

    Args:
        queries (np.ndarray): (n_q, D), of unit length for cosine.
        database (np.ndarray): (n_db, D), any float type; may be
            memory-mapped, and is read a block at a time.
        max_bytes (int): Size of the scores that are held at once. Defaults
            to 128 MB.

    Yields:
        tuple: Which queries, and their dot products in float64.
    """
    queries = np.asarray(queries, np.float64)
    step = max(1, max_bytes // (8 * max(1, len(database))))
    for first in range(0, len(queries), step):
        chosen = slice(first, min(first + step, len(queries)))
        scores = np.empty((chosen.stop - first, len(database)))
        for start in range(0, len(database), _IMAGES):
            part = np.asarray(database[start : start + _IMAGES], np.float64)
            scores[:, start : start + _IMAGES] = queries[chosen] @ part.T
        yield chosen, scores


def search(
    queries: np.ndarray,
    database: np.ndarray,
    k: int = 10,
    backend: str = 'exact',
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest images of each query by dot product.

    Args:
        queries (np.ndarray): (n_q, D).
        database (np.ndarray): (n_db, D); may be memory-mapped.
        k (int): At most ``n_db`` are returned. Defaults to 10.
        backend (str): ``'exact'``: ties in the order of the database; or
            ``'faiss'``, an optional package. Defaults to ``'exact'``.

    Returns:
        tuple: Scores and indices, both (n_q, min(k, n_db)), nearest first.

    Raises:
        ValueError: ``k`` is below 1, a set is empty, widths differ or the
            backend is unknown.
        ImportError: faiss is not installed.
    """
    if k < 1:
        raise ValueError(f'k must be at least 1, got {k}.')
    if backend not in _BACKENDS:
        raise ValueError(
            f'backend must be one of {_BACKENDS}, got {backend!r}.'
        )
    for name, array in (('queries', queries), ('database', database)):
        if array.ndim != 2 or not len(array):
            raise ValueError(
                f'{name} must have the shape (n, D) with n > 0, got '
                f'{array.shape}.'
            )
    if queries.shape[1] != database.shape[1]:
        raise ValueError(
            f'queries have {queries.shape[1]} dimensions, the database has '
            f'{database.shape[1]}.'
        )
    k = min(k, len(database))
    if backend == 'faiss':
        return _search_faiss(queries, database, k)
    scores = np.empty((len(queries), k))
    indices = np.empty((len(queries), k), np.int64)
    for chosen, block in similarity_blocks(queries, database):
        for query, row in enumerate(block, chosen.start):
            # all that reach the k-th score, so that ties can be ordered
            least = np.partition(row, -k)[-k]
            found = np.flatnonzero(row >= least)
            order = np.argsort(-row[found], kind='stable')[:k]
            indices[query] = found[order]
            scores[query] = row[indices[query]]
    return scores, indices


def _search_faiss(
    queries: np.ndarray, database: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    index = _faiss().IndexFlatIP(database.shape[1])
    for start in range(0, len(database), _IMAGES):
        part = database[start : start + _IMAGES]
        index.add(np.ascontiguousarray(part, np.float32))
    return index.search(np.ascontiguousarray(queries, np.float32), k)


def _faiss() -> ModuleType:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "backend 'faiss' needs the package faiss-cpu (or faiss-gpu): pip "
            "install faiss-cpu, or take backend='exact'."
        ) from error
    return faiss
