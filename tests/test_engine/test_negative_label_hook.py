import logging
import shutil

import pytest
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.logging import MMLogger
from mmpretrain.registry import DATASETS
from torch.nn.functional import normalize

from lore_mm.registry import HOOKS

CLIP_TEXT = dict(type='lore_mm.OpenCLIPTextEncoder')
SENTENCES = dict(type='lore_mm.SentenceEncoder')


@pytest.fixture
def root(tiny_image_folder):
    return tiny_image_folder(num_classes=3, per_class=5, size=16)


@pytest.fixture
def log(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def build(**kwargs):
    return HOOKS.build(dict(type='lore_mm.NegativeLabelHook', **kwargs))


def expected_labels(runner, dataset, predict):
    """Prediction by image path, computed one image at a time."""
    model = runner.model
    rows, labels, paths = [], [], []
    for i in range(len(dataset)):
        item = dataset[i]
        sample = item['data_samples']
        batch = dict(inputs=[item['inputs']], data_samples=[sample])
        img = model.data_preprocessor(batch)['inputs']
        black_box = model.backbone.black_box
        rows.append(black_box.project(black_box(img)[:, 0])[0])
        labels.append(int(sample.gt_label))
        paths.append(sample.img_path)
    predicted = predict(torch.stack(rows), torch.tensor(labels))
    return dict(zip(paths, predicted.tolist(), strict=True))


def class_mean_by_hand(rows, labels):
    rows = normalize(rows, dim=-1)
    means = torch.stack([rows[labels == k].mean(0) for k in labels.unique()])
    return torch.cosine_similarity(rows[:, None], means[None], -1).argmax(1)


def labels_in_batches(hook, runner):
    """What the training loop would hand to the head, by image path."""
    found = {}
    for i, batch in enumerate(runner.train_dataloader):
        hook.before_train_iter(runner, i, batch)
        for sample in batch['data_samples']:
            label = sample.get('negative_label')
            assert (label.shape, label.dtype) == ((), torch.int64)
            label = int(label)
            assert found.setdefault(sample.img_path, label) == label
    return found


def noisy(root):
    """Give some images the look of another class."""
    for i in range(2):
        shutil.copy(root / f'class_1/{i:03d}.png', root / f'class_0/{i}9.png')


@pytest.mark.parametrize('num_workers', [0, 2])
def test_class_mean_equals_hand_computation(bench, root, num_workers, log):
    noisy(root)
    val = bench.folder(root, bench.VAL)
    runner = bench.runner(bench.folder(root), val, num_workers=num_workers)
    hook = build()
    hook.before_train(runner)
    expected = expected_labels(runner, DATASETS.build(val), class_mean_by_hand)
    assert labels_in_batches(hook, runner) == expected
    assert expected[str(root / 'class_0/09.png')] == 1
    assert 'correctly (nearest class mean)' in log.text


def wrapped(bench, root, pipeline, kind):
    folder = bench.folder(root, pipeline)
    if kind == 'few shots':
        return DATASETS.build(
            dict(type='lore_mm.FewShotSubset', dataset=folder, shots=3)
        )
    dataset = DATASETS.build(folder)
    if kind == 'repeat':
        return RepeatDataset(dataset, times=2)
    # Two data sets in which an index means two different images.
    other = DATASETS.build(bench.folder(root.parent / 'other', pipeline))
    return ConcatDataset([dataset, other])


@pytest.mark.parametrize(
    'kind, count', [('concat', 26), ('repeat', 17), ('few shots', 9)]
)
def test_wrappers(bench, root, tiny_image_folder, kind, count):
    noisy(root)
    tiny_image_folder(num_classes=3, per_class=3, size=16, name='other')
    for path in (root.parent / 'other/class_2').iterdir():
        shutil.copy(root / 'class_0/000.png', path)
    dataset = wrapped(bench, root, bench.TRAIN, kind)
    runner = bench.runner(dataset, bench.folder(root, bench.VAL))
    hook = build()
    hook.before_train(runner)
    plain = wrapped(bench, root, bench.VAL, kind)
    if kind == 'repeat':
        plain = plain.dataset
    expected = expected_labels(runner, plain, class_mean_by_hand)
    assert labels_in_batches(hook, runner) == expected
    assert len(expected) == count


def projected(bench, embeddings, knowledge):
    model = bench.Classifier(has_projection=True)
    model.neck = bench.Neck(embeddings, knowledge)
    return model


def test_zero_shot_equals_hand_computation(bench, root, log):
    torch.manual_seed(1)
    embeddings = normalize(torch.randn(3, 4), dim=-1)
    val = bench.folder(root, bench.VAL)
    runner = bench.runner(
        bench.folder(root),
        val,
        projected(bench, embeddings, CLIP_TEXT),
    )
    hook = build()
    hook.before_train(runner)

    def by_hand(rows, _):
        return (rows @ embeddings.T).argmax(1)

    expected = expected_labels(runner, DATASETS.build(val), by_hand)
    assert labels_in_batches(hook, runner) == expected
    right = [path[-9] == str(label) for path, label in expected.items()]
    share = 100 * sum(right) / len(right)
    assert f'predicts {share:.2f} % of the training' in log.text
    assert 'correctly (zero-shot)' in log.text


def test_zero_shot_at_chance_warns(bench, root, log):
    embeddings = torch.eye(3, 4)[[0, 0, 0]] * torch.tensor([[1.0], [2], [3]])
    runner = bench.runner(
        bench.folder(root),
        bench.folder(root, bench.VAL),
        projected(bench, embeddings, CLIP_TEXT),
    )
    build().before_train(runner)
    (warning,) = [r for r in log.records if r.levelno == logging.WARNING]
    assert 'no better than chance' in warning.getMessage()


def test_other_text_space_of_equal_size_is_not_zero_shot(bench, root, log):
    model = projected(bench, torch.eye(3, 4), SENTENCES)
    runner = bench.runner(
        bench.folder(root), bench.folder(root, bench.VAL), model
    )
    build().before_train(runner)
    assert 'nearest class mean' in log.text


def test_zero_shot_refused(bench, root):
    runner = bench.runner(bench.folder(root), bench.folder(root, bench.VAL))
    with pytest.raises(ValueError, match='needs a Black Box with a proj'):
        build(method='zero_shot').before_train(runner)


def test_zero_shot_before_class_embeddings(bench, root):
    runner = bench.runner(
        bench.folder(root),
        bench.folder(root, bench.VAL),
        projected(bench, torch.zeros(3, 4), CLIP_TEXT),
    )
    with pytest.raises(ValueError, match='the neck has none yet'):
        build().before_train(runner)


@pytest.mark.parametrize('key', ['negative_source', 'constraint'])
def test_does_nothing_when_not_wanted(bench, root, key):
    runner = bench.runner(bench.folder(root))  # a pass would need a pipeline
    setattr(runner.model.head, key, None)
    hook = build()
    hook.before_train(runner)
    batch = next(iter(runner.train_dataloader))
    hook.before_train_iter(runner, 0, batch)
    assert 'negative_label' not in batch['data_samples'][0]


def test_without_black_box(bench, root):
    runner = bench.runner(bench.folder(root), bench.folder(root, bench.VAL))
    del runner.model.backbone.black_box
    with pytest.raises(ValueError, match='got StubBackbone'):
        build().before_train(runner)


def test_unknown_method():
    with pytest.raises(ValueError, match="one of .*got 'knn'"):
        build(method='knn')


@pytest.mark.parametrize(
    'train, val',
    [
        (('sample_idx',), ('sample_idx', 'img_path')),
        (('img_path',), ('sample_idx', 'img_path')),
        (('sample_idx', 'img_path'), ('sample_idx',)),
        (('sample_idx', 'img_path'), ('img_path',)),
    ],
)
def test_identifiers_that_one_pipeline_lacks(bench, root, train, val):
    def steps(keys):
        return [bench.LOAD, bench.RESIZE, bench.pack(*keys)]

    full = bench.runner(bench.folder(root), bench.folder(root, bench.VAL))
    runner = bench.runner(
        bench.folder(root, steps(train)), bench.folder(root, steps(val))
    )
    results = []
    for each in (full, runner):
        hook = build()
        hook.before_train(each)
        collected = []
        for i, item in enumerate(each.train_dataloader.dataset):
            batch = dict(data_samples=[item['data_samples']])
            hook.before_train_iter(each, i, batch)
            collected.append(int(batch['data_samples'][0].negative_label))
        results.append(collected)
    assert results[0] == results[1]


def test_images_without_identifiers(bench, root):
    steps = [bench.LOAD, bench.RESIZE, bench.pack()]
    runner = bench.runner(bench.folder(root), bench.folder(root, steps))
    with pytest.raises(ValueError, match='cannot be recognised'):
        build().before_train(runner)


def test_index_that_means_two_images(bench, root):
    """Two data sets, and only ``sample_idx`` to tell images apart."""
    steps = [bench.LOAD, bench.RESIZE, bench.pack('sample_idx')]
    first = DATASETS.build(bench.folder(root, steps))
    second = first.get_subset(list(range(14, -1, -1)))  # other order
    runner = bench.runner(
        ConcatDataset([first, second]), bench.folder(root, steps)
    )
    hook = build()
    hook.before_train(runner)
    item = first[0]
    with pytest.raises(ValueError, match='have the same .*keep img_path'):
        hook.before_train_iter(
            runner, 0, item | dict(data_samples=[item['data_samples']])
        )
    middle = first[7]['data_samples']  # the same image in both orders
    hook.before_train_iter(runner, 0, dict(data_samples=[middle]))
    assert middle.negative_label.shape == ()


def test_unknown_image(bench, root):
    runner = bench.runner(bench.folder(root), bench.folder(root, bench.VAL))
    hook = build()
    hook.before_train(runner)
    sample = runner.train_dataloader.dataset[0]['data_samples']
    sample.set_metainfo(dict(img_path='elsewhere.png'))
    with pytest.raises(ValueError, match=r"no prediction.*'elsewhere\.png'"):
        hook.before_train_iter(runner, 0, dict(data_samples=[sample]))
