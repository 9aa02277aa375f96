"""The metric of retrieval, from samples or from a file."""

import numpy as np
import pytest
import torch

from lore_mm.evaluation.functional import revisited_map
from lore_mm.evaluation.metrics import RevisitedMAP
from lore_mm.registry import METRICS

GND = [
    dict(easy=[0, 5], hard=[3], junk=[1]),
    dict(easy=[], hard=[2], junk=[]),
    dict(easy=[6], hard=[], junk=[4, 0]),
]
IMAGES = 30


@pytest.fixture
def descriptors():
    rng = np.random.default_rng(0)
    found = rng.normal(size=(len(GND) + IMAGES, 8)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def metric():
    built = METRICS.build(dict(type='lore_mm.RevisitedMAP', ks=(1, 2)))
    built.dataset_meta = dict(gnd=GND, num_queries=len(GND), num_images=IMAGES)
    return built


def expected(descriptors):
    queries, images = np.split(descriptors.astype(np.float64), [len(GND)])
    return revisited_map(queries @ images.T, GND, (1, 2))


def samples(descriptors, order):
    return [
        dict(row=int(row), descriptor=torch.from_numpy(descriptors[row]))
        for row in order
    ]


def test_any_order_in_batches(metric, descriptors):
    order = np.random.default_rng(1).permutation(len(descriptors))
    for part in np.array_split(order, 5):
        metric.process(None, samples(descriptors, part))
    found = metric.evaluate(len(descriptors))
    assert found == expected(descriptors)
    assert set(found) == {
        f'{name}/{protocol}'
        for name in ('mAP', 'mP@1', 'mP@2')
        for protocol in ('easy', 'medium', 'hard')
    }


def test_only_the_results_count_and_repeats_do_no_harm(metric, descriptors):
    """As after gathering from several processes, the last one padded."""
    metric.process(None, samples(descriptors, range(len(descriptors))))
    results, metric.results = [*metric.results, metric.results[0]], []
    assert metric.compute_metrics(results) == expected(descriptors)


def test_file_of_descriptors(metric, descriptors, tmp_path):
    path = tmp_path / 'all.npy'
    np.save(path, descriptors)
    metric.process(None, [dict(descriptor_file=str(path))])
    assert metric.evaluate(1) == expected(descriptors)
    np.save(path, descriptors[:-1])
    metric.process(None, [dict(descriptor_file=str(path))])
    with pytest.raises(ValueError, match='32 descriptors for 33 images'):
        metric.evaluate(1)


def test_blocks_of_queries_change_nothing(metric, descriptors, monkeypatch):
    import lore_mm.evaluation.metrics.revisited_map as module

    plain = module.similarity_blocks
    monkeypatch.setattr(
        module,
        'similarity_blocks',
        lambda *args: plain(*args, max_bytes=8 * IMAGES * 2),
    )
    metric.process(None, samples(descriptors, range(len(descriptors))))
    assert metric.evaluate(len(descriptors)) == expected(descriptors)


def test_missing_and_broken_descriptors(metric, descriptors):
    metric.process(None, samples(descriptors, range(len(descriptors) - 1)))
    with pytest.raises(ValueError, match='image 32 is missing'):
        metric.evaluate(len(descriptors))
    metric.results.clear()
    descriptors[4, 0] = np.nan
    metric.process(None, samples(descriptors, range(len(descriptors))))
    with pytest.raises(ValueError, match='image 4 is missing or not finite'):
        metric.evaluate(len(descriptors))


def test_prefix():
    assert not RevisitedMAP().prefix
    assert RevisitedMAP(prefix='scenes').prefix == 'scenes'
