"""Zero-shot CLIP, CLIP-Adapter and CoOp on a CLIP that is small enough."""

import json

import open_clip
import pytest
import torch
from mmpretrain.structures import DataSample
from safetensors.torch import save_file
from torch.nn.functional import normalize

from lore_mm.models import (
    CLIPAdapterHead,
    CoOpHead,
    LOREFeatures,
    ZeroShotHead,
)

MODEL = 'lore-tiny-text'
CONFIG = dict(
    embed_dim=12,
    vision_cfg=dict(image_size=32, layers=1, width=64, patch_size=16),
    text_cfg=dict(
        context_length=77, vocab_size=49408, width=16, heads=2, layers=2
    ),
)
NAMES = ['crow', 'herring_gull', 'owl']

# Logits are a hundred times a cosine, and processors round differently.
CLOSE = dict(rtol=1e-5, atol=1e-4)


@pytest.fixture(autouse=True)
def cache_root(tmp_path, monkeypatch):
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'cache'))


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A tiny CLIP known to open_clip, and the config of its encoder."""
    folder = tmp_path_factory.mktemp('open_clip')
    (folder / f'{MODEL}.json').write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / f'{MODEL}.json')
    torch.manual_seed(0)
    model = open_clip.create_model(MODEL).eval()
    file = folder / 'clip.safetensors'
    save_file(model.state_dict(), file)
    return model, dict(
        type='lore_mm.OpenCLIPTextEncoder',
        model_name=MODEL,
        checkpoint=str(file),
    )


@pytest.fixture
def feats() -> LOREFeatures:
    torch.manual_seed(1)
    return LOREFeatures(torch.randn(5, 12))


def make(kind, clip, **kwargs):
    if kind is CoOpHead:
        kwargs.setdefault('context_dims', 16)
    head = kind(num_classes=3, in_channels=12, knowledge=clip[1], **kwargs)
    head.set_classes(NAMES)
    return head


def texts(clip, template: str) -> torch.Tensor:
    words = [template.format(name.replace('_', ' ')) for name in NAMES]
    with torch.no_grad():
        tokens = open_clip.get_tokenizer(MODEL)(words)
        return normalize(clip[0].encode_text(tokens), dim=-1)


def test_zero_shot_is_clip(clip, feats) -> None:
    head = make(ZeroShotHead, clip, templates='a photo of {}.')
    expected = (
        100
        * normalize(feats.cls_token, dim=-1)
        @ (texts(clip, 'a photo of {}.').T)
    )
    torch.testing.assert_close(head(feats), expected, **CLOSE)
    torch.testing.assert_close(head((feats.cls_token,)), expected, **CLOSE)
    assert not list(head.parameters())


def test_adapter_mixes(clip, feats) -> None:
    head = make(CLIPAdapterHead, clip, ratio=0.5, reduction=3)
    token = normalize(feats.cls_token, dim=-1)
    first, last = head.adapter[0].weight, head.adapter[2].weight
    assert first.shape == (4, 12)
    new = torch.relu(torch.relu(token @ first.T) @ last.T)
    mixed = normalize(0.5 * new + 0.5 * token, dim=-1)
    torch.testing.assert_close(
        head(feats), 100 * mixed @ head.text_features().T, **CLOSE
    )


def test_coop_puts_vectors_in_the_place_of_words(clip, feats) -> None:
    head = make(CoOpHead, clip, num_context=4)
    with torch.no_grad():
        word = open_clip.get_tokenizer(MODEL)(['photo'])[0, 1]
        head.context.copy_(clip[0].token_embedding.weight[word].expand(4, -1))
        expected = texts(clip, 'photo photo photo photo {}.')
        torch.testing.assert_close(head.text_features(), expected)


def test_coop_trains_the_context_alone(clip, feats) -> None:
    head = make(CoOpHead, clip)
    assert set(head.state_dict()) == {'context'}
    samples = [DataSample().set_gt_label(i % 3) for i in range(5)]
    losses = head.loss(feats, samples)
    assert set(losses) == {'loss_cls'}
    losses['loss_cls'].backward()
    assert (head.context.grad.norm(dim=1) > 0).all()
    tower = head._tower[0]
    assert not any(p.requires_grad for p in tower.parameters())


def test_coop_at_inference_runs_the_tower_once(clip, feats) -> None:
    head = make(CoOpHead, clip)
    with torch.no_grad():
        first = head.text_features()
        assert head.text_features() is first
        head.context.add_(1)
        assert not torch.allclose(head.text_features(), first)
    assert head.text_features().requires_grad


def test_coop_follows_a_fused_optimizer(clip, feats) -> None:
    """Its steps leave no trace in the version of a tensor."""
    head = make(CoOpHead, clip)
    solver = torch.optim.AdamW([head.context], lr=1.0, fused=True)
    with torch.no_grad():
        before = head.eval().text_features()
    head.train().text_features().sum().backward()
    solver.step()
    with torch.no_grad():
        after = head.eval().text_features()
        torch.testing.assert_close(after, head._encode())
    assert not torch.allclose(before, after)


def test_coop_keeps_nothing_of_mixed_precision(clip, feats) -> None:
    head = make(CoOpHead, clip).eval()
    with torch.no_grad():
        with torch.autocast('cpu', torch.bfloat16):
            rounded = head.text_features()
        torch.testing.assert_close(head.text_features(), head._encode())
    assert not torch.equal(head.text_features(), rounded)


@pytest.mark.parametrize('kind', [ZeroShotHead, CLIPAdapterHead, CoOpHead])
def test_logits_are_not_rounded_in_mixed_precision(kind, clip, feats) -> None:
    head = make(kind, clip).eval()
    with torch.autocast('cpu', torch.bfloat16):
        images, texts = head.pre_logits(feats), head.text_features()
        logits = head(feats)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, head.scale * images @ texts.T.float())


@pytest.mark.parametrize('kind', [ZeroShotHead, CLIPAdapterHead, CoOpHead])
def test_loss_and_prediction(kind, clip, feats) -> None:
    head = make(kind, clip)
    samples = [DataSample().set_gt_label(1) for _ in range(5)]
    assert head.loss(feats, samples)['loss_cls'].isfinite()
    found = head.predict(feats, samples)
    assert all(0 <= int(s.pred_label) < 3 for s in found)
    with pytest.raises(ValueError, match='the data set has 1 classes, the'):
        head.set_classes(['owl'])


def test_wrong_arguments(clip) -> None:
    for kind, wrong, said in (
        (ZeroShotHead, dict(scale=0), 'scale must be positive, got 0'),
        (CLIPAdapterHead, dict(ratio=0), r'ratio must be in \(0, 1\]'),
        (CLIPAdapterHead, dict(reduction=13), r'reduction must be in \[1, 12'),
        (CoOpHead, dict(num_context=0), 'num_context must be at least 1'),
        (CoOpHead, dict(context_dims=8), 'the text tower has words of 16'),
    ):
        with pytest.raises(ValueError, match=said):
            make(kind, clip, **wrong)
    with pytest.raises(ValueError, match='num_classes must be at least 1'):
        ZeroShotHead(0, 12, clip[1])
    head = ZeroShotHead(3, 8, clip[1])
    with pytest.raises(ValueError, match='have 8 channels, the texts .* 12'):
        head.set_classes(NAMES)
    head = CoOpHead(3, 12, clip[1], context_dims=16)
    with pytest.raises(RuntimeError, match='the classes are not set'):
        head.text_features()
    random = dict(type='lore_mm.RandomTextEncoder', embed_dims=12)
    head = CoOpHead(3, 12, random, context_dims=16)
    with pytest.raises(ValueError, match='CoOp needs knowledge=dict'):
        head.set_classes(NAMES)
