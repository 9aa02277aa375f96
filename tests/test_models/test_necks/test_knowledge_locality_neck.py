import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample

from lore_mm.models import (
    KnowledgeLocalityAttention,
    KnowledgeLocalityNeck,
    LOREFeatures,
)
from lore_mm.models.knowledge import build_class_embeddings
from lore_mm.models.necks import knowledge_locality_neck
from lore_mm.registry import MODELS
from lore_mm.utils import SetupError

DIMS, TEXT_DIMS = 6, 5
NAMES = ['ant', 'bee', 'cat']
RANDOM = dict(type='lore_mm.RandomTextEncoder', embed_dims=TEXT_DIMS)


@pytest.fixture(autouse=True)
def _seed_and_cache(tmp_path, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'cache'))


def make(**kwargs):
    return KnowledgeLocalityNeck(
        **{
            'num_classes': 3,
            'embed_dims': DIMS,
            'text_dims': TEXT_DIMS,
            'knowledge': RANDOM,
            **kwargs,
        }
    )


@pytest.fixture
def neck():
    neck = make()
    neck.set_classes(NAMES)
    return neck


@pytest.fixture
def features():
    return LOREFeatures(
        torch.randn(2, 4), torch.randn(2, DIMS), torch.randn(2, 9, DIMS)
    )


# -- forward -------------------------------------------------------------
@pytest.mark.parametrize('preset', ['released', 'paper'])
def test_adds_prototypes_in_training(features, preset):
    neck = make(preset=preset, top=2)
    neck.set_classes(NAMES)
    out = neck(features)
    assert out.prototypes.shape == (2, 3, DIMS)
    expected = neck.attention(
        build_class_embeddings(RANDOM, NAMES), features.tokens
    )
    torch.testing.assert_close(out.prototypes, expected)
    for key in ('cls_token', 'latent', 'tokens'):
        assert getattr(out, key) is getattr(features, key)


def test_hands_features_on_at_inference(neck, features):
    neck.eval()
    assert neck(features) is features
    without = LOREFeatures(features.cls_token)
    assert neck(without) is without


def test_needs_features(neck):
    with pytest.raises(SetupError, match="got tuple; set out_type='lore'"):
        neck((torch.randn(2, DIMS),))


def test_needs_the_tokens_of_a_white_box(neck, features):
    with pytest.raises(SetupError, match='needs the tokens of a White Box'):
        neck(features._replace(tokens=None))


def test_needs_tokens_of_its_width(neck, features):
    with pytest.raises(SetupError, match='embed_dims is 6, .* 7 channels'):
        neck(features._replace(tokens=torch.randn(2, 9, 7)))


def test_bare_black_box_passes_through(neck, features):
    bare = LOREFeatures(features.cls_token)
    assert neck.train()(bare) is bare


def test_needs_class_embeddings(features):
    neck = make()
    with pytest.raises(RuntimeError, match='class embeddings are not set'):
        neck(features)
    assert neck.eval()(features) is features


# -- class embeddings ----------------------------------------------------
def test_embeddings_are_the_encoders(neck):
    expected = build_class_embeddings(RANDOM, NAMES)
    torch.testing.assert_close(neck.class_embeddings, expected)
    assert 'class_embeddings' in neck.state_dict()
    assert not neck.class_embeddings.requires_grad


def test_templates_are_used():
    neck = make(templates=['a {}.', 'the {}.'])
    neck.set_classes(NAMES)
    expected = build_class_embeddings(RANDOM, NAMES, ['a {}.', 'the {}.'])
    torch.testing.assert_close(neck.class_embeddings, expected)
    other = make()
    other.set_classes(NAMES)
    assert not torch.allclose(neck.class_embeddings, other.class_embeddings)


def test_embeddings_from_a_file(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(4, TEXT_DIMS))
    file = tmp_path / 'embeddings.npz'
    np.savez(file, **dict(zip([*NAMES, 'dog'], vectors, strict=True)))
    neck = make(knowledge=dict(type='lore_mm.EmbeddingFile', path=str(file)))
    neck.set_classes(['cat', 'ant', 'bee'])
    expected = torch.from_numpy(vectors[[2, 0, 1]]).float()
    expected /= expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(neck.class_embeddings, expected)


def test_another_number_of_classes(neck):
    with pytest.raises(ValueError, match='has 2 classes.*num_classes=3'):
        neck.set_classes(NAMES[:2])


def test_another_width_than_the_encoders():
    neck = make(text_dims=7)
    match = "text_dims is 7.*'lore_mm.RandomTextEncoder' gives 5"
    with pytest.raises(ValueError, match=match):
        neck.set_classes(NAMES)


# -- building ------------------------------------------------------------
def test_built_from_config():
    neck = MODELS.build(
        dict(
            type='lore_mm.KnowledgeLocalityNeck',
            num_classes=3,
            embed_dims=DIMS,
            text_dims=TEXT_DIMS,
            knowledge=RANDOM,
            preset='paper',
            num_heads=2,
            norm='layer',
        )
    )
    assert neck.attention.num_heads == 2
    assert isinstance(neck.attention.norm, torch.nn.LayerNorm)


def test_no_encoder_is_built_before_it_is_needed():
    make(knowledge=dict(type='lore_mm.EmbeddingFile', path='nowhere.npz'))


def test_constructor_errors():
    with pytest.raises(ValueError, match="preset must be .* got 'new'"):
        make(preset='new')
    with pytest.raises(ValueError, match='num_heads must divide 6, got 4'):
        make(preset='paper', num_heads=4)


# -- the whole model -----------------------------------------------------
def test_no_knowledge_at_inference(monkeypatch):
    """KLA, text encoder and class embeddings: never touched."""
    cfg = dict(
        type='ImageClassifier',
        backbone=dict(
            type='lore_mm.LOREViT',
            black_box=dict(
                type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=32
            ),
            white_box=dict(type='lore_mm.WhiteBox'),
            out_type='lore',
        ),
        neck=dict(
            type='lore_mm.KnowledgeLocalityNeck',
            num_classes=3,
            embed_dims=64,
            text_dims=TEXT_DIMS,
            knowledge=RANDOM,
        ),
        head=dict(
            type='lore_mm.LOREHead',
            num_classes=3,
            in_channels=64,
            constraint=dict(type='lore_mm.PrototypeConstraintLoss'),
        ),
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg).eval()
    images = torch.randn(2, 3, 32, 32)
    expected = model(images, mode='predict')

    def fail(*args, **kwargs):
        raise AssertionError('knowledge was used at inference')

    monkeypatch.setattr(KnowledgeLocalityAttention, '_attend', fail)
    monkeypatch.setattr(KnowledgeLocalityAttention, 'forward', fail)
    monkeypatch.setattr(
        knowledge_locality_neck, 'build_class_embeddings', fail
    )
    model.neck.class_embeddings.fill_(float('nan'))
    for parameter in model.neck.parameters():
        parameter.data.fill_(float('nan'))
    out = model(images, mode='predict')
    for sample, other in zip(out, expected, strict=True):
        assert torch.equal(sample.pred_score, other.pred_score)
    monkeypatch.undo()
    model.train()
    samples = [DataSample().set_gt_label(0) for _ in range(2)]
    model.head.negative_source = 'current'
    assert model(images, samples, 'loss')['loss_kp'].isnan()  # used here
