"""The seven figures, files that are written, and what is refused."""

import csv
from pathlib import Path

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement
from PIL import Image

from lore_mm.datasets.davis_masks import load_mask, save_mask
from lore_mm.evaluation.functional import (
    boundary_accuracy,
    davis_statistics,
    region_similarity,
)
from lore_mm.evaluation.metrics import DAVISMetric
from lore_mm.evaluation.metrics.davis_folder import score_folder
from lore_mm.evaluation.metrics.davis_metric import (
    davis_figures,
    score_sequence,
)

KEYS = [
    'J&F-Mean',
    'J-Mean',
    'J-Recall',
    'J-Decay',
    'F-Mean',
    'F-Recall',
    'F-Decay',
]


def masks(length: int, objects: int, shift: int = 0) -> np.ndarray:
    """Squares (T, H, W) that move to the right."""
    found = np.zeros((length, 60, 90), dtype=np.uint8)
    for index in range(length):
        for each in range(1, objects + 1):
            left = 4 + index + shift
            found[index, 14 * each : 14 * each + 11, left : left + 20] = each
    return found


@pytest.fixture
def make_sample(tmp_path):
    """A data sample whose truth is in files."""

    def make(name: str, pred: np.ndarray, gt: np.ndarray) -> BaseDataElement:
        paths = []
        for index, mask in enumerate(gt):
            paths.append(str(tmp_path / 'truth' / name / f'{index:05d}.png'))
            save_mask(paths[-1], mask)
        return BaseDataElement(
            metainfo=dict(
                sequence=name,
                img_paths=[f'{index:05d}.jpg' for index in range(len(pred))],
                ann_paths=paths,
                void_id=0,
            ),
            pred_masks=pred,
        )

    return make


def evaluate(metric: DAVISMetric, *samples: BaseDataElement) -> dict:
    evaluator = Evaluator(metric)
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(len(samples))


def test_means_are_over_objects_not_videos(make_sample):
    first = masks(7, 3, shift=2), masks(7, 3)
    second = masks(5, 1, shift=5), masks(5, 1)
    found = evaluate(
        DAVISMetric(), make_sample('a', *first), make_sample('b', *second)
    )
    assert list(found) == KEYS
    expected = {'J': [], 'F': []}
    for (pred, gt), number in ((first, 3), (second, 1)):
        for each in range(1, number + 1):
            pair = pred[1:-1] == each, gt[1:-1] == each
            expected['J'].append(davis_statistics(region_similarity(*pair)))
            expected['F'].append(davis_statistics(boundary_accuracy(*pair)))
    for letter, values in expected.items():
        means = np.mean(values, 0)
        for name, mean in zip(('Mean', 'Recall', 'Decay'), means, strict=True):
            assert found[f'{letter}-{name}'] == pytest.approx(mean)
    both = (found['J-Mean'] + found['F-Mean']) / 2
    assert found['J&F-Mean'] == pytest.approx(both)
    assert 0.5 < found['J&F-Mean'] < 1


def test_first_and_last_frame_do_not_count(make_sample):
    pred, gt = masks(6, 2), masks(6, 2)
    pred[0], pred[-1] = 0, 0
    found = evaluate(DAVISMetric(), make_sample('a', pred, gt))
    assert found['J&F-Mean'] == 1


def test_vanished_object(make_sample):
    pred, gt = masks(6, 2), masks(6, 2)
    pred[pred == 2] = 0
    found = evaluate(DAVISMetric(), make_sample('a', pred, gt))
    assert found['J-Mean'] == found['F-Mean'] == 0.5
    gt[2:][gt[2:] == 2] = 0  # it leaves the scene: rightly nothing
    found = evaluate(DAVISMetric(), make_sample('b', pred, gt))
    assert found['J-Mean'] == pytest.approx((1 + 3 / 4) / 2)


def test_object_that_comes_later_is_not_scored(make_sample):
    pred, gt = masks(6, 1), masks(6, 1)
    gt[3, 40:50, 60:70] = 2
    found = evaluate(DAVISMetric(), make_sample('a', pred, gt))
    assert found['J&F-Mean'] == 1


def test_void_counts_as_background(make_sample):
    pred, gt = masks(6, 1), masks(6, 1)
    sample = make_sample('a', pred, gt)
    gt[2, 40:50] = 255
    Image.fromarray(gt[2]).save(sample.ann_paths[2])
    assert evaluate(DAVISMetric(), sample)['J&F-Mean'] == 1


def test_files(make_sample, tmp_path):
    pred, gt = masks(5, 2, shift=3), masks(5, 2)
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'global_results.csv').write_text('an old table')
    metric = DAVISMetric(out_dir=str(out))
    found = evaluate(metric, make_sample('a', pred, gt))
    written = sorted(path.name for path in (out / 'a').iterdir())
    assert written == [f'{index:05d}.png' for index in range(5)]
    for index, mask in enumerate(pred):
        assert np.array_equal(load_mask(out / 'a' / written[index]), mask)
    with (out / 'global_results.csv').open() as file:
        (row,) = csv.DictReader(file)
    assert list(row) == KEYS
    assert float(row['J&F-Mean']) == pytest.approx(found['J&F-Mean'], abs=1e-6)
    with (out / 'per-sequence_results.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [each['Sequence'] for each in rows] == ['a_1', 'a_2']
    means = [float(each['J-Mean']) for each in rows]
    assert np.mean(means) == pytest.approx(found['J-Mean'], abs=1e-6)


def test_format_only(make_sample, tmp_path):
    sample = make_sample('a', masks(4, 1), masks(4, 1)[:1])
    metric = DAVISMetric(out_dir=str(tmp_path / 'out'), format_only=True)
    assert evaluate(metric, sample) == {}
    assert len(list((tmp_path / 'out/a').iterdir())) == 4
    with pytest.raises(ValueError, match='format_only=True needs an out_dir'):
        DAVISMetric(format_only=True)


def test_only_the_results_count(make_sample):
    """Processes hand over results; the last shard is cut to size."""
    metric = DAVISMetric()
    for name in ('a', 'b'):
        sample = make_sample(name, masks(5, 1, shift=2), masks(5, 1))
        metric.process(None, [sample.to_dict()])
    results, metric.results = metric.results, []
    assert metric.compute_metrics(results)['J-Mean'] == pytest.approx(
        metric.compute_metrics(results[:1])['J-Mean']
    )


@pytest.mark.parametrize(
    'pred,gt,message',
    [
        (masks(5, 2), masks(5, 1), "'a', frame 0: id 2 is pred.*1 objects"),
        (
            masks(5, 1)[:, 1:],
            masks(5, 1),
            'mask has 59 x 90 pixels, the true one 60 x 90',
        ),
        (masks(5, 1), masks(6, 1), 'the predicted end after 5'),
        (masks(6, 1), masks(5, 1), 'the true end after 5'),
        (masks(2, 1), masks(2, 1), 'has 2 frames; .* at least 3'),
        (masks(5, 0), masks(5, 0), "true mask of 'a' holds no object"),
    ],
)
def test_what_is_refused(pred, gt, message):
    with pytest.raises(ValueError, match=message):
        score_sequence(pred, gt, 'a')


def test_a_video_of_a_padded_shard_counts_once(make_sample):
    metric = DAVISMetric()
    for name, shift in (('a', 2), ('b', 5)):
        sample = make_sample(name, masks(5, 1, shift=shift), masks(5, 1))
        metric.process(None, [sample.to_dict()])
    once = metric.compute_metrics(metric.results)
    assert metric.compute_metrics([*metric.results, metric.results[0]]) == once


def test_unwritable_folder(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(ValueError, match=r"file' cannot be written"):
        DAVISMetric(out_dir=str(tmp_path / 'file'))

    def refuse(self, data):
        raise PermissionError(13, 'Permission denied')

    # A folder that is there, but not ours: told before any video is run.
    monkeypatch.setattr(Path, 'write_bytes', refuse)
    with pytest.raises(ValueError, match=r'denied\); choose another out_dir'):
        DAVISMetric(out_dir=str(tmp_path))


def test_old_tables_survive_a_full_disk(make_sample, tmp_path, monkeypatch):
    (tmp_path / 'global_results.csv').write_text('an old table')
    metric = DAVISMetric(out_dir=str(tmp_path))
    sample = make_sample('a', masks(5, 1), masks(5, 1))
    metric.process(None, [sample.to_dict()])

    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match='No space left'):
        metric.compute_metrics(metric.results)
    assert (tmp_path / 'global_results.csv').read_text() == 'an old table'
    assert not list(tmp_path.glob('.*.tmp'))


@pytest.mark.parametrize('processes', [1, 2])
def test_score_folder(make_sample, tmp_path, processes):
    pairs = {'a': (4, 2), 'b': (6, 1), 'c': (5, 3)}
    records = []
    for name, (length, objects) in pairs.items():
        sample = make_sample(name, masks(length, 1), masks(length, objects))
        records.append(sample.to_dict())
        for index, mask in enumerate(masks(length, objects, shift=2)):
            save_mask(tmp_path / 'pred' / name / f'{index:05d}.png', mask)
    found = score_folder(tmp_path / 'pred', records, processes)
    for name, (length, objects) in pairs.items():
        expected = score_sequence(
            masks(length, objects, shift=2), masks(length, objects)
        )
        assert np.array_equal(found[name], expected)
    assert set(davis_figures(list(found.values()))) == set(KEYS)
    # The ends are not scored: whether they are there is one.
    for path in ('a/00000.png', 'b/00005.png'):
        (tmp_path / 'pred' / path).unlink()
    again = score_folder(tmp_path / 'pred', records, processes)
    assert all(np.array_equal(again[name], found[name]) for name in pairs)
    (tmp_path / 'pred/b/00003.png').unlink()
    with pytest.raises(FileNotFoundError, match='b/00003.png'):
        score_folder(tmp_path / 'pred', records, processes)


def test_masks_of_0_and_255_are_scored_as_the_year_says(tmp_path):
    masks_ = masks(4, 1) * np.uint8(255)
    paths = [tmp_path / 'a' / f'{index:05d}.png' for index in range(4)]
    paths[0].parent.mkdir()
    for path, mask in zip(paths, masks_, strict=True):
        Image.fromarray(mask).save(path)
    record = dict(sequence='a', ann_paths=[str(p) for p in paths], void_id=1)
    (found,) = score_folder(tmp_path, [record]).values()
    assert np.array_equal(found, np.ones((2, 1, 2)))
    truth = [tmp_path / 'truth' / path.name for path in paths]
    for path, mask in zip(truth, masks(4, 1), strict=True):
        save_mask(path, mask)
    record |= dict(ann_paths=[str(p) for p in truth], void_id=0)
    with pytest.raises(ValueError, match='00001.png.*255.*the year 2016'):
        score_folder(tmp_path, [record])


def test_first_masks_alone_are_refused_before_the_first_video(tmp_path):
    with pytest.raises(ValueError, match="annotations='first'.*format_only"):
        DAVISMetric().dataset_meta = dict(annotations='first')
    for metric in (
        DAVISMetric(out_dir=tmp_path, format_only=True),
        DAVISMetric(),
    ):
        metric.dataset_meta = dict(annotations='all')
        metric.dataset_meta = None
    metric = DAVISMetric(out_dir=tmp_path, format_only=True)
    metric.dataset_meta = dict(annotations='first')
    assert metric.dataset_meta == dict(annotations='first')


def test_score_folder_needs_a_process():
    with pytest.raises(ValueError, match='processes must be at least 1'):
        score_folder('x', [], 0)
