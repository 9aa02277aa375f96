from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lore_mm.models import KnowledgeLocalityNeck
from lore_mm.models.knowledge import build_class_embeddings
from lore_mm.registry import HOOKS

NAMES = ['class 0', 'class 1', 'class 2']  # as the tiny run names them


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def hook():
    return HOOKS.build(dict(type='lore_mm.ClassEmbeddingHook'))


def stub(neck, classes):
    """A runner's stand-in, at ``before_train``."""
    dataset = SimpleNamespace(metainfo=dict(classes=classes))
    return SimpleNamespace(
        model=SimpleNamespace(neck=neck),
        train_dataloader=SimpleNamespace(dataset=dataset),
    )


def make_neck(**knowledge):
    cfg = dict(type='lore_mm.RandomTextEncoder', embed_dims=4)
    return KnowledgeLocalityNeck(3, 6, 4, knowledge or cfg)


def test_names_of_the_training_set(hook):
    neck = make_neck()
    hook.before_train(stub(neck, NAMES))
    expected = build_class_embeddings(neck.knowledge, NAMES)
    torch.testing.assert_close(neck.class_embeddings, expected)


def test_model_in_a_distributed_wrapper(hook, monkeypatch):
    module = 'lore_mm.engine.bare_model.is_model_wrapper'
    monkeypatch.setattr(module, lambda model: hasattr(model, 'module'))
    neck = make_neck()
    runner = stub(neck, NAMES)
    runner.model = SimpleNamespace(module=runner.model)
    hook.before_train(runner)
    assert neck.class_embeddings.any()


@pytest.mark.parametrize('neck', [None, nn.Identity()])
def test_other_necks_are_left_alone(hook, neck):
    hook.before_train(stub(neck, None))


@pytest.mark.parametrize('classes', [None, []])
def test_training_set_without_names(hook, classes):
    with pytest.raises(ValueError, match='has no class names to embed'):
        hook.before_train(stub(make_neck(), classes))


def test_another_number_of_classes(hook):
    with pytest.raises(ValueError, match='has 2 classes.*num_classes=3'):
        hook.before_train(stub(make_neck(), NAMES[:2]))


def test_file_of_embeddings_in_a_run(tiny_runner, tmp_path):
    """The embeddings are there before the first step, and in the file."""
    vectors = np.random.default_rng(0).normal(size=(3, 16))
    file = tmp_path / 'vectors.npz'
    np.savez(file, **dict(zip(NAMES, vectors, strict=True)))
    runner = tiny_runner(
        model__neck__knowledge=dict(
            _delete_=True, type='lore_mm.EmbeddingFile', path=str(file)
        ),
        train_cfg__max_epochs=1,
    )
    runner.train()
    expected = torch.from_numpy(vectors).float()
    expected /= expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(runner.model.neck.class_embeddings, expected)
    saved = torch.load(
        f'{runner.work_dir}/epoch_1.pth', map_location='cpu', weights_only=True
    )['state_dict']
    torch.testing.assert_close(saved['neck.class_embeddings'], expected)
