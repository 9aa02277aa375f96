import json
import logging

import pytest
import torch
from mmengine.logging import MMLogger
from torch.nn.functional import normalize

from lore_mm.models.knowledge import (
    TEMPLATES,
    KnowledgeEncoder,
    build_class_embeddings,
    cache,
    is_aligned_with_images,
)
from lore_mm.registry import MODELS

NAMES = ['crow', 'black_bird', 'gull']


class Counting(KnowledgeEncoder):
    """Vectors from the letters of a text; counts what is encoded."""

    encoded = []

    def __init__(self, tag='a', fill=None):
        self.tag = tag
        self.fill = fill

    def identity(self):
        return f'counting-{self.tag}'

    def encode(self, texts):
        type(self).encoded.append(list(texts))
        if self.fill is not None:
            return torch.full((len(texts), 4), self.fill)
        return torch.stack([vector(text) for text in texts])


def vector(text):
    codes = torch.tensor([float(ord(c)) for c in text])
    return torch.stack([codes.sum(), codes.std(), codes[0], codes[-1] * 9])


@pytest.fixture
def counting():
    Counting.encoded = []
    MODELS.register_module(module=Counting)
    yield Counting
    MODELS._module_dict.pop('Counting')


@pytest.fixture
def warnings(caplog):
    """Warnings of mmengine's current logger."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield lambda: [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING
    ]
    logger.removeHandler(caplog.handler)


CFG = dict(type='lore_mm.Counting')


def test_mean_over_templates_by_hand(counting):
    result = build_class_embeddings(CFG, NAMES, ['a {}.', 'one {} here'])
    for name, row in zip(NAMES, result, strict=True):
        name = name.replace('_', ' ')
        first = normalize(vector(f'a {name}.'), dim=0)
        second = normalize(vector(f'one {name} here'), dim=0)
        expected = normalize((first + second) / 2, dim=0)
        torch.testing.assert_close(row, expected)
    assert result.dtype == torch.float32


def test_default_template(counting):
    build_class_embeddings(CFG, NAMES)
    assert counting.encoded[0][1] == 'This is a photo of a black bird.'


def test_templates_of_a_data_set_by_name(counting):
    build_class_embeddings(CFG, ['forest'], 'eurosat')
    assert counting.encoded == [['a centered satellite photo of forest.']]


def test_each_listed_template_has_one_slot():
    assert all(
        template.count('{}') == 1
        for templates in TEMPLATES.values()
        for template in templates
    )


def test_second_time_comes_from_the_cache(counting):
    first = build_class_embeddings(CFG, NAMES)
    second = build_class_embeddings(CFG, NAMES)
    assert len(counting.encoded) == 1
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    'change',
    [
        dict(cfg=dict(type='lore_mm.Counting', tag='b')),
        dict(class_names=NAMES[::-1]),
        dict(templates='a {}'),
    ],
    ids=['encoder', 'names', 'templates'],
)
def test_what_the_cache_depends_on(counting, change):
    args = dict(cfg=CFG, class_names=NAMES, templates='the {}')
    build_class_embeddings(**args)
    build_class_embeddings(**(args | change))
    assert len(counting.encoded) == 2


@pytest.mark.parametrize('keep', [0, 5, -3], ids=['empty', 'few', 'most'])
def test_damaged_cache_is_computed_again(counting, cache_root, warnings, keep):
    first = build_class_embeddings(CFG, NAMES)
    (file,) = cache_root.rglob('*.safetensors')
    file.write_bytes(file.read_bytes()[:keep])
    assert torch.equal(build_class_embeddings(CFG, NAMES), first)
    assert len(counting.encoded) == 2
    assert 'damaged' in warnings()[0]
    build_class_embeddings(CFG, NAMES)  # and it was mended
    assert len(counting.encoded) == 2


def test_cache_of_another_shape_is_not_used(counting, cache_root, warnings):
    first = build_class_embeddings(CFG, NAMES)
    (file,) = cache_root.rglob('*.safetensors')
    cache.write_cache(file, first[:2])
    assert torch.equal(build_class_embeddings(CFG, NAMES), first)
    assert 'shape (2, 4)' in warnings()[0]


def test_unwritable_cache_warns_once(counting, cache_root, warnings):
    cache_root.write_text('a file where the folder should be')
    for _ in range(2):
        result = build_class_embeddings(CFG, NAMES)
    assert result.shape == (3, 4)
    told = [text for text in warnings() if 'not cached' in text]
    assert len(told) == 1
    assert 'LORE_CACHE' in told[0]


def test_failed_write_leaves_nothing_behind(
    counting, cache_root, monkeypatch, warnings
):
    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(cache.os, 'replace', full)
    build_class_embeddings(CFG, NAMES)
    assert [path for path in cache_root.rglob('*') if path.is_file()] == []
    assert 'No space left' in warnings()[0]


@pytest.mark.parametrize(
    'names, message',
    [
        ([], 'must not be empty'),
        (['a', 'b', 'a'], r"twice: \['a'\]"),
        (['a', ' '], 'non-empty strings'),
        (['a', 3], 'non-empty strings'),
        ('crow', "list of names, got 'crow'"),
    ],
)
def test_bad_class_names(counting, names, message):
    with pytest.raises(ValueError, match=message):
        build_class_embeddings(CFG, names)


@pytest.mark.parametrize(
    'templates, message',
    [
        ('a photo', r"one \"{}\" for the class name, got 'a photo'"),
        (['a {}', 'no slot'], "got 'no slot'"),
        ('{} and {}', "got '{} and {}'"),
        ([], 'templates must not be empty'),
    ],
)
def test_bad_templates(counting, templates, message):
    with pytest.raises(ValueError, match=message):
        build_class_embeddings(CFG, NAMES, templates)


@pytest.mark.parametrize('fill', [0.0, float('nan'), float('inf')])
def test_unusable_embeddings(counting, fill):
    cfg = dict(CFG, fill=fill)
    with pytest.raises(ValueError, match='3 embeddings that are zero or not'):
        build_class_embeddings(cfg, NAMES)


def test_config_of_no_encoder():
    with pytest.raises(ValueError, match='config of a KnowledgeEncoder'):
        build_class_embeddings(
            dict(type='lore_mm.TimmBlackBox', model_name='test_vit'), NAMES
        )


def test_random_text_encoder():
    cfg = dict(type='lore_mm.RandomTextEncoder', embed_dims=256)
    first = build_class_embeddings(cfg, NAMES)
    again = build_class_embeddings(cfg, NAMES[::-1]).flip(0)
    torch.testing.assert_close(first, again)
    other = build_class_embeddings(dict(cfg, seed=1), NAMES)
    similarity = first @ torch.cat([first, other]).T
    torch.testing.assert_close(
        similarity.diagonal(), torch.ones(3), rtol=0, atol=1e-6
    )
    off_diagonal = similarity - torch.eye(3, 6)
    assert off_diagonal.abs().max() < 0.3
    with pytest.raises(ValueError, match='at least 1, got 0'):
        build_class_embeddings(dict(cfg, embed_dims=0), NAMES)


def test_is_aligned_with_images(tmp_path):
    path = tmp_path / 'vectors.json'
    path.write_text(json.dumps({'crow': [1, 2]}))
    file = dict(type='lore_mm.EmbeddingFile', path=str(path))
    assert is_aligned_with_images(dict(type='lore_mm.OpenCLIPTextEncoder'))
    assert not is_aligned_with_images(dict(type='lore_mm.SentenceEncoder'))
    assert not is_aligned_with_images(file)
    assert is_aligned_with_images(dict(file, aligned_with_images=True))
