"""The ablations without LIN and without KLA."""

import pytest
import torch

from lore_mm.models import KnowledgeNeck, LOREViT, WhiteBoxWithoutLIN
from lore_mm.models.backbones import LOREFeatures

BOX = dict(type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=32)


def test_patches_stay_as_they_are() -> None:
    torch.manual_seed(0)
    white_box = WhiteBoxWithoutLIN(16, 2, pool='max').eval()
    patches = torch.randn(2, 9, 16)
    output = white_box(patches, with_tokens=True)
    assert torch.equal(output.tokens, patches)
    expected = white_box.prompt_generator(patches.amax(1))[0]
    torch.testing.assert_close(output.latent, expected)
    torch.testing.assert_close(white_box(patches).latent, expected)
    assert not list(white_box.lin.parameters())
    with pytest.raises(ValueError, match="pool='outlier' needs the graph"):
        WhiteBoxWithoutLIN(16, 2, pool='outlier')


def test_in_a_vit() -> None:
    white_box = dict(type='lore_mm.WhiteBoxWithoutLIN', preset='released')
    model = LOREViT(BOX, white_box, out_type='lore')
    features = model(torch.randn(2, 3, 32, 32))
    features.cls_token[:, 0].sum().backward()
    trained = model.white_box.prompt_generator.parameters()
    assert any(p.grad is not None and p.grad.norm() > 0 for p in trained)
    assert features.latent.shape == (2, 64)


def test_prototypes_of_texts_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv('LORE_CACHE', str(tmp_path))
    neck = KnowledgeNeck(
        num_classes=3,
        embed_dims=8,
        text_dims=6,
        knowledge=dict(type='lore_mm.RandomTextEncoder', embed_dims=6),
    )
    neck.set_classes(['a', 'b', 'c'])
    tokens = torch.randn(2, 5, 8)
    features = LOREFeatures(torch.randn(2, 8), torch.randn(2, 8), tokens)
    found = neck(features).prototypes
    assert found.shape == (2, 3, 8)
    assert torch.equal(found[0], found[1])
    expected = neck.attention(neck.class_embeddings)
    torch.testing.assert_close(found[0], expected)
    assert neck.eval()(features).prototypes is None
