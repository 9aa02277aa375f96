"""Exact search in blocks."""

import builtins
import sys

import numpy as np
import pytest

from lore_mm.models.retrievers import search, similarity_blocks


@pytest.fixture
def small_blocks(monkeypatch):
    module = sys.modules[search.__module__]  # the package hides its name
    monkeypatch.setattr(module, '_IMAGES', 7)


def data(seed=0, queries=5, images=50, dtype='float32'):
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(queries + images, 8)).astype(dtype)
    return parts[:queries], parts[queries:]


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_blocks_are_the_whole_product(small_blocks, dtype):
    queries, database = data(dtype=dtype)
    whole = queries.astype(float) @ database.astype(float).T
    seen = []
    for chosen, scores in similarity_blocks(queries, database, 8 * 50 * 2):
        assert scores.dtype == np.float64
        np.testing.assert_allclose(scores, whole[chosen], rtol=0, atol=1e-12)
        seen += range(5)[chosen]
    assert seen == list(range(5))


@pytest.mark.parametrize('k', [1, 7, 50, 99])
def test_search_is_a_stable_sort(small_blocks, k):
    queries, database = data()
    database[20:30] = database[10:20]  # ties
    scores, indices = search(queries, database, k)
    whole = queries.astype(float) @ database.astype(float).T
    # equal descriptors must score the same in every block
    assert np.array_equal(whole[:, 10:20], whole[:, 20:30])
    expected = np.argsort(-whole, axis=1, kind='stable')[:, :k]
    assert np.array_equal(indices, expected)
    np.testing.assert_allclose(
        scores, np.take_along_axis(whole, expected, 1), rtol=0, atol=1e-12
    )


def test_memory_map(tmp_path, small_blocks):
    queries, database = data()
    np.save(tmp_path / 'db.npy', database)
    mapped = np.load(tmp_path / 'db.npy', mmap_mode='r')
    for one, two in zip(
        search(queries, mapped, 3), search(queries, database, 3), strict=True
    ):
        assert np.array_equal(one, two)


def test_faiss_finds_the_same():
    pytest.importorskip('faiss')
    queries, database = data()
    scores, indices = search(queries, database, 6)
    found, places = search(queries, database, 6, backend='faiss')
    assert np.array_equal(places, indices)
    np.testing.assert_allclose(found, scores, atol=1e-5)


def test_without_faiss_the_error_names_the_package(monkeypatch):
    plain = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == 'faiss':
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', refuse)
    with pytest.raises(ImportError, match='pip install faiss-cpu'):
        search(*data(), backend='faiss')


@pytest.mark.parametrize(
    'change,message',
    [
        (dict(k=0), 'k must be at least 1, got 0'),
        (dict(backend='annoy'), "backend must be .* got 'annoy'"),
        (dict(queries=np.ones((0, 8))), r'queries .* got \(0, 8\)'),
        (dict(database=np.ones((0, 8))), r'database .* got \(0, 8\)'),
        (dict(queries=np.ones((1, 3))), 'queries have 3 .* database has 8'),
    ],
)
def test_bad_arguments(change, message):
    queries, database = data()
    arguments = dict(queries=queries, database=database, k=1)
    with pytest.raises(ValueError, match=message):
        search(**{**arguments, **change})
