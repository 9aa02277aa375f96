"""The revisited protocol against its published figures and by hand."""

import math
import tracemalloc

import numpy as np
import pytest
import torch

from lore_mm.datasets import read_ground_truth
from lore_mm.evaluation.functional import revisited_map, revisited_scores

KS = (1, 5, 10)
PROTOCOLS = ('easy', 'medium', 'hard')
# mAP, mP@1, mP@5, mP@10 for easy, medium and hard.
GOLDEN = {
    ('roxford5k', 'perm'): (
        (0.969961, 0, 0.2941, 0.4412),
        (1.659264, 0, 0.2857, 0.7143),
        (0.807917, 0, 0, 0.2857),
    ),
    ('roxford5k', 'biased'): (
        (51.019473, 88.2353, 79.1176, 70.5882),
        (37.749019, 90, 82, 74),
        (23.628463, 82.8571, 62.8571, 53.5714),
    ),
    ('rparis6k', 'perm'): (
        (1.660589, 1.4286, 0.8571, 1.2857),
        (4.032784, 2.8571, 3.4286, 4.1429),
        (2.511053, 1.4286, 2.8571, 2.8571),
    ),
    ('rparis6k', 'biased'): (
        (54.148272, 100, 98, 95.5714),
        (43.110391, 100, 100, 100),
        (29.833792, 100, 99.4286, 96.8571),
    ),
}


def golden_scores(kind, gnd, num_images):
    """The two made-up rankings that the figures belong to."""
    rows = []
    for query, entry in enumerate(gnd):
        if kind == 'perm':
            order = np.random.RandomState(query).permutation(num_images)
            row = np.empty(num_images)
            row[order] = -np.arange(num_images)
        else:
            row = np.random.RandomState(1000 + query).rand(num_images)
            for name, plus in (('easy', 0.5), ('hard', 0.25), ('junk', 0.3)):
                row[entry[name]] += plus
        rows.append(row)
    return np.stack(rows)


@pytest.mark.parametrize('name,kind', GOLDEN)
def test_golden_figures(real_data, name, kind):
    truth = read_ground_truth(
        real_data / 'revisitop' / name / f'gnd_{name}.pkl'
    )
    scores = golden_scores(kind, truth['gnd'], len(truth['imlist']))
    found = revisited_map(scores, truth['gnd'], KS)
    for protocol, (mean_ap, *precision) in zip(
        PROTOCOLS, GOLDEN[name, kind], strict=True
    ):
        assert found[f'mAP/{protocol}'] == pytest.approx(mean_ap, abs=1e-6)
        for k, value in zip(KS, precision, strict=True):
            # published to four decimals
            assert abs(found[f'mP@{k}/{protocol}'] - value) <= 5.1e-5
    again = revisited_map(torch.from_numpy(scores), truth['gnd'], KS)
    assert again == found


def by_sorting(scores, gnd, protocol, ks):
    """The protocol as its text says, with a whole ranking."""
    positive, junk = {
        'easy': (['easy'], ['junk', 'hard']),
        'medium': (['easy', 'hard'], ['junk']),
        'hard': (['hard'], ['junk', 'easy']),
    }[protocol]
    aps, precisions = [], []
    for row, entry in zip(scores, gnd, strict=True):
        good = {i for name in positive for i in entry[name]}
        bad = {i for name in junk for i in entry[name]}
        if not good:
            continue
        order = np.argsort(-row.astype(np.float64), kind='stable')
        order = [i for i in order if i not in bad]
        ranks = [r for r, i in enumerate(order) if i in good]
        ap = 0.0
        for j, r in enumerate(ranks):
            ap += (1.0 if r == 0 else j / r) + (j + 1) / (r + 1)
        aps.append(ap / (2 * len(good)))
        cuts = [min(k, ranks[-1] + 1) for k in ks]
        precisions.append([sum(r < c for r in ranks) / c for c in cuts])
    return 100 * np.mean(aps), 100 * np.mean(precisions, axis=0)


def random_gnd(rng, num_queries, num_images):
    gnd = []
    for _ in range(num_queries):
        order = rng.permutation(num_images).tolist()
        a, b, c = np.sort(rng.integers(0, num_images // 2, 3))
        gnd.append(dict(easy=order[:a], hard=order[a:b], junk=order[b:c]))
    return gnd


@pytest.mark.parametrize('levels', [2, 7, 2000])
@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64', 'int64'])
def test_equals_a_whole_ranking_with_ties(levels, dtype):
    rng = np.random.default_rng(levels)
    gnd = random_gnd(rng, 12, 60)
    scores = rng.integers(0, levels, (12, 60)).astype(dtype)
    found = revisited_map(scores, gnd, (1, 3, 40))
    for protocol in PROTOCOLS:
        mean_ap, precision = by_sorting(scores, gnd, protocol, (1, 3, 40))
        assert found[f'mAP/{protocol}'] == pytest.approx(mean_ap, abs=1e-10)
        for k, value in zip((1, 3, 40), precision, strict=True):
            assert found[f'mP@{k}/{protocol}'] == pytest.approx(value)


def test_by_hand():
    # ranking: 3 (junk), 1 (easy), 0, 2 (hard)
    scores = np.array([[0.2, 0.5, 0.1, 0.9]])
    gnd = [dict(easy=[1], hard=[2], junk=[3])]
    found = revisited_map(scores, gnd, ks=(1, 5))
    assert found['mAP/easy'] == 100
    # hard: 2 comes after 0: rank 1, so (0 / 1 + 1 / 2) / 2
    assert found['mAP/hard'] == pytest.approx(25)
    # medium: ranks 0 and 2, so ((1 + 1) + (1 / 2 + 2 / 3)) / 4
    assert found['mAP/medium'] == pytest.approx(100 * (2 + 7 / 6) / 4)
    assert found['mP@1/medium'] == 100
    assert found['mP@5/medium'] == pytest.approx(200 / 3)
    assert found['mP@5/hard'] == 50


def test_ties_keep_the_order_of_the_database():
    gnd = [dict(easy=[1], hard=[], junk=[])]
    assert revisited_map(np.zeros((1, 3)), gnd)['mAP/easy'] == 25
    gnd = [dict(easy=[0], hard=[], junk=[])]
    assert revisited_map(np.zeros((1, 3)), gnd)['mAP/easy'] == 100


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_and_gradients(dtype):
    gnd = [dict(easy=[2], hard=[0], junk=[1])]
    scores = torch.tensor([[1.0, 3.0, 2.0, 1.5]], requires_grad=True)
    expected = revisited_map(scores, gnd)
    assert revisited_map(scores.to(dtype), gnd) == expected


def test_infinite_scores_are_ranked():
    gnd = [dict(easy=[0], hard=[1], junk=[])]
    scores = np.array([[np.inf, -np.inf, 0.0]])
    found = revisited_map(scores, gnd)
    assert found['mAP/easy'] == 100
    assert found['mAP/hard'] == 25


def test_query_without_positives_is_left_out():
    scores = np.array([[2.0, 1.0], [2.0, 1.0]])
    gnd = [dict(easy=[0], hard=[], junk=[]), dict(easy=[], hard=[], junk=[1])]
    found = revisited_map(scores, gnd)
    assert found['mAP/easy'] == 100
    assert math.isnan(found['mAP/hard'])
    assert math.isnan(found['mP@1/hard'])
    scores = revisited_scores(scores, gnd)
    assert scores.ap['easy'][0] == 1
    assert np.isnan(scores.ap['easy'][1])


def test_distractors_change_nothing_but_the_ranks():
    rng = np.random.default_rng(0)
    gnd = random_gnd(rng, 5, 40)
    scores = rng.random((5, 40))
    below = np.concatenate([scores, rng.random((5, 1000)) - 1], axis=1)
    above = np.concatenate([scores, rng.random((5, 1000)) + 1], axis=1)
    found = revisited_map(scores, gnd)
    assert revisited_map(below, gnd) == found
    assert revisited_map(above, gnd)['mAP/medium'] < found['mAP/medium'] / 5


def test_memory_is_one_row_not_a_matrix_of_ranks():
    rng = np.random.default_rng(0)
    scores = rng.random((8, 100_000), dtype=np.float32)
    gnd = random_gnd(rng, 8, 500)
    tracemalloc.start()
    revisited_map(scores, gnd)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * scores[0].nbytes


EMPTY = dict(easy=[], hard=[], junk=[])


@pytest.mark.parametrize(
    'scores,gnd,message',
    [
        (np.zeros((0, 4)), [], 'there is no query'),
        (np.zeros(4), [EMPTY], r'shape \(n_q, n_db\), got \(4,\)'),
        (np.zeros((2, 4)), [EMPTY], 'each of the 2 rows .* got 1'),
        (np.zeros((1, 4)), [dict(easy=[], hard=[])], "no list 'junk'"),
        (
            np.zeros((1, 4)),
            [{**EMPTY, 'hard': [1, 4]}],
            r"gnd\[0\]\['hard'\] names the image 4, but .* 4 images",
        ),
        (np.zeros((1, 4)), [{**EMPTY, 'easy': [-1]}], 'names the image -1'),
        (
            np.zeros((1, 4)),
            [{**EMPTY, 'easy': [0.5]}],
            'must be a list of integers',
        ),
        (np.full((1, 4), np.nan), [EMPTY], r'similarity\[0\] holds NaN'),
    ],
)
def test_bad_input(scores, gnd, message):
    with pytest.raises(ValueError, match=message):
        revisited_map(scores, gnd)


@pytest.mark.parametrize('ks', [(0,), (1.5,), ('5',)])
def test_bad_ks(ks):
    with pytest.raises(ValueError, match='ks must be integers from 1 on'):
        revisited_map(np.zeros((1, 2)), [EMPTY], ks)
