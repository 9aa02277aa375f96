"""The metric's keys and rows; PF-WILLOW's against a plain calculation."""

import csv
import sys

import numpy as np
import pytest
from PIL import Image

from lore_mm.datasets import PFWillow
from lore_mm.evaluation.metrics import PCK

metric_module = sys.modules[PCK.__module__]


def sample(pred, category='cat', mutual=None, **changes):
    """One pair: an image of 100 x 50, another of 200 x 100."""
    values = dict(
        source_points=np.array([[10.0, 10.0], [90.0, 40.0]]),
        target_points=np.array([[20.0, 20.0], [180.0, 20.0]]),
        target_box=np.array([0.0, 0.0, 100.0, 50.0]),
        source_size=(100, 50),
        target_size=(200, 100),
        cell=(50.0, 50.0),
        grid=(2, 4),
        category=category,
        pred_points=np.asarray(pred, float),
    )
    if mutual is not None:
        values['pred_mutual'] = np.asarray(mutual)
    return {**values, **changes}


def score(samples, **kwargs):
    metric = PCK(**kwargs)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_keys_and_values():
    found = score(
        [
            sample([[20, 29], [180, 20]]),
            sample([[20, 31], [0, 0]], 'dog'),
        ]
    )
    averages = ('image', 'point', 'category')
    assert set(found) == {
        f'{row}PCK@{a}/{average}'
        for row in ('', 'identity/', 'oracle/')
        for a in ('0.05', '0.1', '0.15')
        for average in averages
    }
    # 9 pixels off at a threshold of 10; 11 pixels off
    assert found['PCK@0.1/image'] == 50
    assert found['PCK@0.05/image'] == 25
    assert found['PCK@0.15/image'] == 75
    # (10, 10) of 100 x 50 is (20, 20) of 200 x 100; (180, 80) is not near
    assert found['identity/PCK@0.1/point'] == 50
    # centres (25, 25) and (175, 25): 7.07 pixels off
    assert found['oracle/PCK@0.1/point'] == 100
    assert found['oracle/PCK@0.05/point'] == 0


@pytest.mark.parametrize(
    'rule,image,point',
    [('drop', 50, 100 * 2 / 3), ('wrong', 50, 50)],
)
def test_mutual_rows(rule, image, point):
    good, bad = [20, 20], [0, 90]
    samples = [
        sample([good, [180, 20]], mutual=[True, True]),
        sample([good, bad], mutual=[False, True]),
    ]
    found = score(samples, not_mutual=rule)
    assert found['PCK@0.1/image'] == 75
    assert found['mutual/PCK@0.1/image'] == image
    assert found['mutual/PCK@0.1/point'] == pytest.approx(point)
    assert found['mutual/share'] == 75


def test_a_pair_without_mutual_matches_counts_nowhere():
    samples = [
        sample([[20, 20], [180, 20]], mutual=[True, True]),
        sample([[20, 20], [180, 20]], mutual=[False, False]),
    ]
    assert score(samples)['mutual/PCK@0.1/image'] == 100


def test_table_of_categories(monkeypatch):
    said = []
    monkeypatch.setattr(
        metric_module, 'print_log', lambda text, **_: said.append(text)
    )
    found = score(
        [
            sample([[20, 20], [180, 20]], 'cat'),
            sample([[20, 20], [0, 0]], 'dog'),
            sample([[0, 90], [0, 0]], 'dog'),
        ],
        classwise=True,
    )
    lines = [line.split() for line in '\n'.join(said).splitlines()]
    assert ['cat', '1', '100.00', '50.00', '100.00'] in lines
    assert ['dog', '2', '25.00', '50.00', '100.00'] in lines
    rows = [line[0] for line in lines if line]
    assert rows[1:4] == ['match', 'identity', 'oracle']
    assert found['PCK@0.1/point/cat'] == 100
    assert found['PCK@0.1/point/dog'] == 25
    assert found['PCK@0.1/category'] == 62.5


def test_only_the_results_are_used():
    """Several processes: results are those of all, cut to the set's size."""
    samples = [sample([[20, 20], [0, 0]]), sample([[20, 20], [180, 20]])]
    whole = score(samples)
    parts = [PCK(), PCK()]
    for metric, each in zip(parts, samples, strict=True):
        metric.process({}, [each])
    gathered = parts[0].results + parts[1].results
    assert PCK().compute_metrics(gathered) == whole


@pytest.mark.parametrize(
    'kwargs,message',
    [
        (dict(alphas=()), 'alphas must be positive'),
        (dict(alphas=(0.1, -1)), 'alphas must be positive'),
        (dict(category_alpha=0), 'category_alpha=0'),
        (dict(not_mutual='keep'), "not_mutual must be 'drop' or 'wrong'"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PCK(**kwargs)


def plain_rows(root, grid, alpha=0.1):
    """Identity and oracle of PF-WILLOW, without any of our code."""
    scores = {'identity': [], 'oracle': []}
    with (root / 'test_pairs_rebuilt.csv').open() as file:
        for row in csv.DictReader(file):
            xa, ya, xb, yb = (
                np.array([float(row[f'{axis}{i}']) for i in range(1, 11)])
                for axis in ('XA', 'YA', 'XB', 'YB')
            )
            sizes = []
            for key in ('imageA', 'imageB'):
                path = root.parent / row[key]
                with Image.open(path) as image:
                    sizes.append(image.size)
            (wa, ha), (wb, hb) = sizes
            limit = alpha * max(np.ptp(xb), np.ptp(yb))
            far = np.hypot(xa / wa * wb - xb, ya / ha * hb - yb)
            scores['identity'].append(np.mean(far <= limit))
            centres_x = (np.arange(grid) + 0.5) * wb / grid
            centres_y = (np.arange(grid) + 0.5) * hb / grid
            dx = np.abs(xb[:, None] - centres_x).min(1)
            dy = np.abs(yb[:, None] - centres_y).min(1)
            scores['oracle'].append(np.mean(np.hypot(dx, dy) <= limit))
    return {row: 100 * np.mean(each) for row, each in scores.items()}


@pytest.mark.parametrize('grid', [6, 16])
def test_rows_of_pf_willow(real_data, grid):
    root = real_data / 'PF-dataset-WILLOW'
    dataset = PFWillow(str(root), pairs_file='test_pairs_rebuilt.csv')
    metric = PCK()
    for i in range(len(dataset)):
        pair = dataset[i]
        size = pair['target'].size
        found = pair['data_samples'].to_dict()
        found.update(
            source_size=pair['source'].size,
            target_size=size,
            cell=(size[0] / grid, size[1] / grid),
            grid=(grid, grid),
            pred_points=found['target_points'],
        )
        metric.process({}, [found])
    metrics = metric.evaluate(len(dataset))
    hand = plain_rows(root, grid)
    assert metrics['PCK@0.1/image'] == 100
    for row, value in hand.items():
        assert metrics[f'{row}/PCK@0.1/image'] == pytest.approx(value)
        # Each pair has ten points and each sub-class as many pairs.
        assert metrics[f'{row}/PCK@0.1/point'] == pytest.approx(value)
        assert metrics[f'{row}/PCK@0.1/category'] == pytest.approx(value)
