from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmpretrain.registry import DATASETS
from PIL import Image

from lore_mm.engine.feature_extraction import (
    eval_mode,
    extract_train_features,
    train_precision,
    with_pipeline,
)
from lore_mm.engine.optim import BFloat16OptimWrapper


def pooled(img):
    return img.mean((2, 3))


def by_hand(paths, size=16):
    """Mean colour of each file, as the stub's preprocessor scales it."""
    rows = []
    for path in paths:
        image = np.asarray(Image.open(path).convert('RGB'), np.float32)
        assert image.shape == (size, size, 3)
        rows.append((image[..., ::-1].mean((0, 1)) - 120) / 60)  # BGR
    return torch.tensor(np.array(rows), dtype=torch.float32)


def paths_of(dataset):
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


@pytest.fixture
def root(tiny_image_folder):
    return tiny_image_folder(num_classes=3, per_class=5, size=16)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_equal_to_hand_computation_in_order(bench, root, num_workers):
    runner = bench.runner(
        bench.folder(root),
        bench.folder(root, bench.VAL),
        num_workers=num_workers,
    )
    data = extract_train_features(runner, pooled)
    dataset = runner.train_dataloader.dataset
    torch.testing.assert_close(data.features, by_hand(paths_of(dataset)))
    assert data.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert [found['sample_idx'] for found in data.ids] == list(range(15))
    assert [found['img_path'] for found in data.ids] == paths_of(dataset)


def test_nothing_is_changed(bench, root):
    runner = bench.runner(bench.folder(root), bench.folder(root, bench.VAL))
    runner.model.train()
    dataset = runner.train_dataloader.dataset
    before = dataset.pipeline, dataset.test_mode, torch.get_rng_state()
    extract_train_features(runner, pooled)
    assert (dataset.pipeline, dataset.test_mode) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert runner.model.backbone.norm.training


def test_compute_sees_eval_mode_and_no_grad(bench, root):
    runner = bench.runner(bench.folder(root), bench.folder(root, bench.VAL))
    runner.model.train()
    seen = []

    def compute(img):
        seen.append((runner.model.training, torch.is_grad_enabled()))
        return pooled(img)

    extract_train_features(runner, compute, batch_size=15)
    assert seen == [(False, False)]


def test_eval_mode_keeps_a_frozen_part_frozen(bench):
    model = bench.Classifier()
    model.train()
    model.backbone.norm.eval()
    with pytest.raises(RuntimeError, match='inside'), eval_mode(model):
        assert not model.training
        raise RuntimeError('inside')
    assert model.training
    assert not model.backbone.norm.training


def test_own_pipeline(bench, root):
    runner = bench.runner(bench.folder(root))
    data = extract_train_features(runner, pooled, pipeline=bench.VAL)
    dataset = runner.train_dataloader.dataset
    torch.testing.assert_close(data.features, by_hand(paths_of(dataset)))


def test_no_pipeline_to_take(bench, root):
    runner = bench.runner(bench.folder(root))
    with pytest.raises(ValueError, match=r'give `pipeline=\[...\]`'):
        extract_train_features(runner, pooled)


def wrapped(bench, root, kind):
    folder = bench.folder(root)
    if kind == 'concat':
        return ConcatDataset([DATASETS.build(folder) for _ in range(2)])
    if kind == 'few shots':
        return DATASETS.build(
            dict(type='lore_mm.FewShotSubset', dataset=folder, shots=2)
        )
    return DATASETS.build(
        dict(type='mmpretrain.KFoldDataset', dataset=folder, num_splits=3)
    )


@pytest.mark.parametrize(
    'kind, count', [('concat', 30), ('few shots', 6), ('folds', 10)]
)
def test_wrappers(bench, root, kind, count):
    dataset = wrapped(bench, root, kind)
    runner = bench.runner(dataset, bench.folder(root, bench.VAL))
    data = extract_train_features(runner, pooled)
    assert len(data.features) == len(dataset) == count
    paths = [found['img_path'] for found in data.ids]
    torch.testing.assert_close(data.features, by_hand(paths))
    expected = [dataset[i]['data_samples'].img_path for i in range(count)]
    assert paths == expected


def test_repetitions_are_skipped(bench, root):
    dataset = RepeatDataset(DATASETS.build(bench.folder(root)), times=100)
    runner = bench.runner(dataset, bench.folder(root, bench.VAL))
    assert len(extract_train_features(runner, pooled).features) == 15


def test_pipeline_of_a_wrapped_validation_set(bench, root):
    val = bench.folder(root, bench.VAL)
    runner = bench.runner(
        bench.folder(root),
        dict(type='ConcatDataset', datasets=[val, val]),
    )
    data = extract_train_features(runner, pooled)
    dataset = runner.train_dataloader.dataset
    torch.testing.assert_close(data.features, by_hand(paths_of(dataset)))


def test_data_set_without_pipeline(bench):
    with pytest.raises(ValueError, match='list has no `pipeline`'):
        with_pipeline([1, 2], None)


def test_images_without_label(bench, root):
    unlabelled = bench.folder(root) | dict(with_label=False)
    runner = bench.runner(unlabelled, bench.folder(root, bench.VAL))
    with pytest.raises(ValueError, match='exactly one gt_label.*got 0'):
        extract_train_features(runner, pooled)


def test_precision_of_training():
    """Half precision of a GPU, but float32 on a CPU, as its validation."""
    line, x = torch.nn.Linear(4, 4), torch.randn(2, 4)
    cuda = AmpOptimWrapper.__new__(AmpOptimWrapper)  # it asks for a GPU
    cuda.cast_dtype = torch.bfloat16
    sgd = torch.optim.SGD(line.parameters(), lr=1.0)
    for wrapper, dtype in [
        (cuda, torch.bfloat16),
        (BFloat16OptimWrapper(sgd), torch.float32),
        (OptimWrapper(sgd), torch.float32),
        (None, torch.float32),
    ]:
        with train_precision(SimpleNamespace(optim_wrapper=wrapper)):
            assert line(x).dtype == dtype
