import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmpretrain.registry import DATASETS
from sklearn.linear_model import LogisticRegression
from torch import nn

from lore_mm.engine.hooks.head_warm_start_hook import fit_logistic_regression
from lore_mm.registry import HOOKS


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
    return HOOKS.build(dict(type='lore_mm.HeadWarmStartHook', **kwargs))


def make_runner(bench, root, **kwargs):
    return bench.runner(
        bench.folder(root),
        bench.folder(root, bench.VAL),
        bench.Classifier(**kwargs),
    )


def head_inputs(runner, dataset):
    """What the head's layer sees, computed one image at a time."""
    model = runner.model.eval()
    rows, labels = [], []
    for i in range(len(dataset)):
        item = dataset[i]
        batch = dict(
            inputs=[item['inputs']], data_samples=[item['data_samples']]
        )
        feats = model.backbone(model.data_preprocessor(batch)['inputs'])
        rows.append(7 * nn.functional.normalize(feats, dim=-1)[0])
        labels.append(int(item['data_samples'].gt_label))
    return torch.stack(rows).detach(), torch.tensor(labels)


@pytest.mark.parametrize('bias', [True, False])
def test_layer_equals_scikit_learn(bench, root, bias, log):
    runner = make_runner(bench, root, bias=bias)
    build(inverse_strength=3.0).before_train(runner)
    dataset = DATASETS.build(bench.folder(root, bench.VAL))
    features, labels = head_inputs(runner, dataset)
    solver = LogisticRegression(
        C=3.0, fit_intercept=bias, tol=1e-9, max_iter=10000
    )
    solver.fit(features.numpy().astype(np.float64) / 7, labels.numpy())
    layer = runner.model.head.fc
    logits = layer(features)
    expected = solver.decision_function(features.numpy() / 7)
    # Softmax does not see a shift common to all classes.
    torch.testing.assert_close(
        logits.softmax(-1),
        torch.tensor(expected, dtype=torch.float32).softmax(-1),
        rtol=1e-3,
        atol=1e-4,
    )
    share = (logits.argmax(-1) == labels).double().mean()
    assert f'on 15 images, {100 * share:.2f} % of them right' in log.text


def test_images_of_a_large_set_are_drawn(bench, root, log):
    build(num_images=8).before_train(make_runner(bench, root))
    assert 'logistic regression on 8 images' in log.text


def test_nothing_but_the_layer_changes(bench, root):
    runner = make_runner(bench, root)
    before = {
        key: value.clone() for key, value in runner.model.state_dict().items()
    }
    build().before_train(runner)
    changed = {
        key
        for key, value in runner.model.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert changed == {'head.fc.weight', 'head.fc.bias'}
    assert runner.model.head.fc.weight.requires_grad
    assert not runner.model.head.fc._forward_pre_hooks


def test_same_result_twice(bench, root):
    results = []
    for _ in range(2):
        runner = make_runner(bench, root)
        build().before_train(runner)
        results.append(runner.model.head.fc.weight.detach())
    assert torch.equal(*results)


@pytest.mark.parametrize(
    'state, kwargs, starts',
    [
        (dict(iter=3), dict(), False),
        (dict(iter=3, _has_loaded=True), dict(after_load=True), False),
        (dict(_has_loaded=True), dict(), False),
        (dict(_has_loaded=True), dict(after_load=True), True),
        (dict(_has_loaded=True, loaded_modules=('head',)), dict(), False),
        # the backbone of a run on other classes
        (dict(_has_loaded=True, loaded_modules=('backbone',)), dict(), True),
        # `--resume` that found no checkpoint starts anew
        (dict(_resume=True), dict(), True),
    ],
)
def test_resume_and_load(bench, root, state, kwargs, starts):
    runner = make_runner(bench, root)
    for key, value in state.items():
        setattr(runner, key, value)
    before = runner.model.head.fc.weight.clone()
    build(**kwargs).before_train(runner)
    assert torch.equal(runner.model.head.fc.weight, before) != starts


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(inverse_strength=0), 'must be positive, got 0'),
        (dict(max_iter=0), 'max_iter must be at least 1, got 0'),
        (dict(num_images=0), 'num_images must be at least 1, got 0'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_head_without_the_layer(bench, root):
    with pytest.raises(ValueError, match="'cls' in the head, StubHead has"):
        build(layer='cls').before_train(make_runner(bench, root))


def test_head_that_does_not_call_the_layer(bench, root):
    runner = make_runner(bench, root)
    runner.model.head.forward = lambda feats: feats
    with pytest.raises(ValueError, match=r'calls its linear layer once'):
        build().before_train(runner)


def test_strength_does_not_depend_on_scale():
    torch.manual_seed(0)
    features, labels = torch.randn(40, 6), torch.arange(40) % 4
    small = fit_logistic_regression(features, labels, 4)
    large = fit_logistic_regression(1000 * features, labels, 4)
    torch.testing.assert_close(large[0] * 1000, small[0], rtol=1e-3, atol=1e-3)


def test_weaker_penalty_fits_better():
    torch.manual_seed(0)
    features, labels = torch.randn(60, 8), torch.arange(60) % 3
    losses = []
    for strength in (0.01, 1.0, 100.0):
        weight, bias = fit_logistic_regression(features, labels, 3, strength)
        logits = features.double() @ weight.T + bias
        losses.append(float(nn.functional.cross_entropy(logits, labels)))
    assert losses[0] > losses[1] > losses[2]
