"""The bounded cache of features."""

import pytest
import torch

from lore_mm.models.matchers import feature_cache
from lore_mm.models.matchers.feature_cache import FeatureCache
from lore_mm.models.matchers.matching import ImageFeatures


def features(floats=256):
    return ImageFeatures(torch.zeros(floats, 1, 1), (8, 8), (1, 1), (8, 8))


def test_stays_in_bounds_and_drops_the_oldest_use():
    cache = FeatureCache(3 * 1024)
    for key in 'abc':
        cache.put(key, features())
    assert cache.get('a') is not None  # now b was used longest ago
    cache.put('d', features())
    assert len(cache) == 3
    assert cache.get('b') is None
    assert all(cache.get(key) is not None for key in 'acd')
    cache.put('e', features(512))
    assert len(cache) == 2


def test_norms_count():
    each = features()
    each.norms = torch.zeros(256)
    assert each.num_bytes == 2048


def test_what_is_larger_than_the_bound_is_not_kept():
    cache = FeatureCache(1000)
    cache.put('a', features())
    assert len(cache) == 0


def test_repeats_are_counted_and_told_once(monkeypatch):
    said = []
    monkeypatch.setattr(
        feature_cache, 'print_log', lambda text, **_: said.append(text)
    )
    cache = FeatureCache(1024)
    for key in 'ababa':
        if cache.get(key) is None:
            cache.put(key, features())
    assert cache.num_repeats == 3
    assert len(said) == 1
    assert 'raise cache_mb of the matcher' in said[0]
    cache.clear()
    assert cache.num_repeats == len(cache) == 0


@pytest.mark.parametrize('again', [1, 3])
def test_the_same_key_is_held_once(again):
    cache = FeatureCache(4096)
    for _ in range(again):
        cache.put('a', features())
    cache.put('b', features(768))
    assert len(cache) == 2
