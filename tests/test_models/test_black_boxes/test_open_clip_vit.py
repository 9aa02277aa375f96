"""OpenCLIPBlackBox: sources of weights, grids of positions, refusals."""

import copy

import open_clip
import open_clip.factory
import pytest
import torch
from open_clip.model import resize_pos_embed
from open_clip.transformer import QuickGELU
from torch import nn

from lore_mm.models.black_boxes import OpenCLIPBlackBox

TAG_CFG = dict(mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3))


@pytest.fixture
def clip(tiny_open_clip):
    """A whole tiny CLIP of open_clip, for 32 px."""
    model = open_clip.create_model(tiny_open_clip, load_weights=False)
    return model.eval()


@pytest.fixture
def save(tmp_path):
    """Factory ``save(state)`` -> path."""

    def make(state) -> str:
        torch.save(state, tmp_path / 'clip.pt')
        return str(tmp_path / 'clip.pt')

    return make


@pytest.mark.parametrize('whole', [True, False])
@pytest.mark.parametrize('img_size', [64, (16, 64)])
@torch.no_grad()
def test_local_file(clip, tiny_open_clip, save, whole, img_size):
    path = save((clip if whole else clip.visual).state_dict())
    black_box = OpenCLIPBlackBox(
        tiny_open_clip, checkpoint=path, img_size=img_size
    )
    # its own grid, not that of img_size
    assert torch.equal(
        black_box.position_table, clip.visual.positional_embedding
    )
    img = torch.randn(2, 3, 32, 32)
    cls_token = black_box(img)[:, 0]
    assert torch.equal(black_box.project(cls_token), clip.visual(img))


@torch.no_grad()
def test_half_precision_file_is_loaded_in_full(clip, tiny_open_clip, save):
    clip.half()
    path = save(clip.state_dict())
    black_box = OpenCLIPBlackBox(tiny_open_clip, checkpoint=path)
    assert black_box(torch.zeros(1, 3, 32, 32)).dtype == torch.float32


def test_file_of_parallel_training(clip, tiny_open_clip, save):
    state = {f'module.{k}': v for k, v in clip.state_dict().items()}
    path = save({'epoch': 1, 'state_dict': state})
    black_box = OpenCLIPBlackBox(tiny_open_clip, checkpoint=path)
    assert torch.equal(black_box.visual.proj, clip.visual.proj)


@torch.no_grad()
def test_other_sizes_are_resampled_as_open_clip_does(clip, tiny_open_clip):
    cfg = copy.deepcopy(open_clip.get_model_config(tiny_open_clip))
    cfg['vision_cfg']['image_size'] = (24, 48)
    other = open_clip.CLIP(**cfg).eval()
    state = clip.state_dict()
    resize_pos_embed(state, other)
    other.load_state_dict(state)
    black_box = OpenCLIPBlackBox(tiny_open_clip, img_size=32)
    black_box.visual.load_state_dict(clip.visual.state_dict())
    img = torch.randn(2, 3, 24, 48)
    projected = black_box.project(black_box(img)[:, 0])
    torch.testing.assert_close(projected, other.visual(img))


def test_text_tower_is_not_held(clip, tiny_open_clip):
    black_box = OpenCLIPBlackBox(tiny_open_clip)
    names = {f'visual.{name}' for name in clip.visual.state_dict()}
    assert black_box.state_dict().keys() == names


@pytest.mark.parametrize('pretrained', [True, 'second'])
def test_weights_of_a_tag(clip, tiny_open_clip, save, monkeypatch, pretrained):
    path = save(clip.state_dict())
    asked = []
    tags = {'first': {'tag': 'first'}, 'second': {'tag': 'second'}}
    monkeypatch.setattr(
        open_clip, 'list_pretrained_tags_by_model', lambda name: [*tags]
    )
    monkeypatch.setattr(
        open_clip, 'get_pretrained_cfg', lambda name, tag: tags.get(tag)
    )
    monkeypatch.setattr(
        open_clip,
        'download_pretrained',
        lambda cfg: asked.append(cfg['tag']) or path,
    )
    for cfg, quick in zip(tags.values(), (True, False), strict=True):
        cfg.update(TAG_CFG, quick_gelu=quick)
    black_box = OpenCLIPBlackBox(tiny_open_clip, pretrained=pretrained)
    assert asked == ['first' if pretrained is True else 'second']
    assert torch.equal(black_box.visual.proj, clip.visual.proj)
    assert black_box.mean == pytest.approx((127.5, 102.0, 76.5))
    # the activation that the tag was trained with
    kind = QuickGELU if pretrained is True else nn.GELU
    assert type(black_box.blocks[0].mlp.gelu) is kind
    # told where it is not that of the name, here QuickGELU: the weights of a
    # file run with another activation are another ViT
    note = '' if pretrained is True else ', GELU'
    assert black_box.describe() == f'OpenCLIPBlackBox({tiny_open_clip}{note})'
    of_file = OpenCLIPBlackBox(tiny_open_clip, checkpoint=path)
    assert of_file.fingerprint() == black_box.fingerprint()
    assert of_file.describe() == f'OpenCLIPBlackBox({tiny_open_clip})'
    with pytest.raises(ValueError, match=r"one of \['first', 'second'\]"):
        OpenCLIPBlackBox(tiny_open_clip, pretrained='third')


def test_model_without_tags(tiny_open_clip):
    with pytest.raises(ValueError, match=r'one of \[\].*got True'):
        OpenCLIPBlackBox(tiny_open_clip, pretrained=True)


def test_two_sources_of_weights(tiny_open_clip):
    with pytest.raises(ValueError, match='two sources of weights'):
        OpenCLIPBlackBox(tiny_open_clip, pretrained='x', checkpoint='file')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('visual.proj'), 'missing: proj'),
        (
            lambda s: s.pop('visual.positional_embedding'),
            'missing: positional_embedding',
        ),
        (
            lambda s: s.update({'visual.odd': torch.zeros(1)}),
            'unexpected: odd',
        ),
        (
            lambda s: s.update({'audio.proj': torch.zeros(1)}),
            'unexpected: audio.proj',
        ),
    ],
)
def test_strict_loading(clip, tiny_open_clip, save, change, message):
    state = clip.state_dict()
    change(state)
    with pytest.raises(RuntimeError, match=f'clip.pt.*{message}'):
        OpenCLIPBlackBox(tiny_open_clip, checkpoint=save(state))


@pytest.mark.parametrize(
    ('vision_cfg', 'message'),
    [
        (
            {'attentional_pool': True, 'attn_pooler_heads': 4},
            'an attention pool',
        ),
        ({'pool_type': 'avg'}, "'avg' pooling"),
        ({'layers': [1, 1, 1, 1]}, 'a ModifiedResNet as image tower'),
        ({'timm_model_name': 'test_vit'}, 'use lore_mm.TimmBlackBox'),
        ({'patch_size': (8, 4)}, 'patches that are not square'),
    ],
)
def test_refused_towers(tiny_open_clip, monkeypatch, vision_cfg, message):
    cfg = open_clip.get_model_config(tiny_open_clip)
    cfg['vision_cfg'].update(vision_cfg)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, 'refused', cfg)
    with pytest.raises(ValueError, match=f"'refused' has.*{message}"):
        OpenCLIPBlackBox('refused', img_size=32)


def test_refused_sizes_and_names(tiny_open_clip):
    with pytest.raises(ValueError, match='multiple of the patch size 8, got'):
        OpenCLIPBlackBox(tiny_open_clip, img_size=(32, 30))
    with pytest.raises(ValueError, match="got 'ViT-X'; see open_clip.list"):
        OpenCLIPBlackBox('ViT-X')


def test_slash_in_the_name():
    black_box = OpenCLIPBlackBox('ViT-S/32', img_size=64)
    assert black_box.describe() == 'OpenCLIPBlackBox(ViT-S/32)'
    assert black_box.patch_size == 32
