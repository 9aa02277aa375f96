import json

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import normalize

from lore_mm.models.knowledge import (
    OpenCLIPTextEncoder,
    build_class_embeddings,
)

MODEL = 'lore-tiny'
CONFIG = dict(
    embed_dim=12,
    vision_cfg=dict(image_size=32, layers=1, width=64, patch_size=16),
    text_cfg=dict(
        context_length=77, vocab_size=49408, width=16, heads=2, layers=2
    ),
)


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A tiny CLIP known to open_clip, and a checkpoint of it."""
    folder = tmp_path_factory.mktemp('open_clip')
    (folder / f'{MODEL}.json').write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / f'{MODEL}.json')
    torch.manual_seed(0)
    model = open_clip.create_model(MODEL).eval()
    file = folder / 'clip.safetensors'
    save_file(model.state_dict(), file)
    return model, str(file)


def cfg(clip, **kwargs):
    kwargs.setdefault('checkpoint', clip[1])
    return dict(type='lore_mm.OpenCLIPTextEncoder', model_name=MODEL, **kwargs)


def test_equals_open_clip(clip):
    names = ['crow', 'gull', 'owl', 'tit', 'rook']
    texts = [f'This is a photo of a {name}.' for name in names]
    with torch.no_grad():
        expected = clip[0].encode_text(open_clip.get_tokenizer(MODEL)(texts))
    result = build_class_embeddings(cfg(clip, batch_size=2), names)
    torch.testing.assert_close(result, normalize(expected, dim=-1))


def test_torch_checkpoint_and_text_tower_only(clip, tmp_path):
    file = tmp_path / 'clip.pt'
    torch.save({'state_dict': clip[0].state_dict()}, file)
    encoder = OpenCLIPTextEncoder(MODEL, checkpoint=str(file))
    assert encoder.encode(['a', 'b']).shape == (2, 12)
    assert not hasattr(encoder._model, 'visual')
    assert not any(p.requires_grad for p in encoder._model.parameters())


def test_cached_result_builds_no_model(clip, monkeypatch):
    first = build_class_embeddings(cfg(clip), ['crow', 'gull'])

    def fail(*_, **__):
        raise AssertionError('the model was built')

    monkeypatch.setattr(open_clip, 'create_model', fail)
    second = build_class_embeddings(cfg(clip), ['crow', 'gull'])
    assert torch.equal(first, second)


def test_identity_follows_the_weights(clip, tmp_path):
    state = clip[0].state_dict()
    moved = tmp_path / 'moved.safetensors'
    save_file(state, moved)
    encoder = OpenCLIPTextEncoder(MODEL, checkpoint=clip[1])
    same = OpenCLIPTextEncoder(MODEL, checkpoint=str(moved))
    assert encoder.identity() == same.identity()
    state['text_projection'] = state['text_projection'] + 1
    save_file(state, moved)
    other = OpenCLIPTextEncoder(MODEL, checkpoint=str(moved))
    assert encoder.identity() != other.identity()


def test_local_folder(clip, tmp_path):
    (tmp_path / 'open_clip_config.json').write_text(
        json.dumps(dict(model_cfg=CONFIG))
    )
    save_file(clip[0].state_dict(), tmp_path / 'open_clip_model.safetensors')
    folder = OpenCLIPTextEncoder(f'local-dir:{tmp_path}')
    file = OpenCLIPTextEncoder(MODEL, checkpoint=clip[1])
    torch.testing.assert_close(folder.encode(['owl']), file.encode(['owl']))


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(), 'give one source of weights'),
        (dict(pretrained='openai', checkpoint='x'), 'one source of weights'),
        (dict(model_name='ViT-X', pretrained='openai'), "'ViT-X' is not know"),
        (dict(pretrained='no-tag'), "one of .*'openai'.*got 'no-tag'"),
        (dict(pretrained='openai'), 'with "-quickgelu"'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        OpenCLIPTextEncoder(**({'model_name': 'ViT-B-16'} | kwargs))


def test_openai_tag_with_its_activation():
    encoder = OpenCLIPTextEncoder('ViT-B-16-quickgelu', pretrained='openai')
    assert '"openai"' in encoder.identity()


def test_missing_checkpoint():
    with pytest.raises(FileNotFoundError, match="'no.pt' do not exist"):
        OpenCLIPTextEncoder('ViT-B-16', checkpoint='no.pt')


def test_truncated_checkpoint(clip, tmp_path):
    file = tmp_path / 'clip.safetensors'
    with open(clip[1], 'rb') as stream:
        file.write_bytes(stream.read(1000))
    with pytest.raises(RuntimeError, match='could not be loaded from'):
        build_class_embeddings(cfg(clip, checkpoint=str(file)), ['crow'])


def test_checkpoint_of_another_model(clip, tmp_path):
    state = clip[0].state_dict()
    del state['ln_final.weight']
    file = tmp_path / 'clip.safetensors'
    save_file(state, file)
    with pytest.raises(RuntimeError, match='ln_final.weight'):
        build_class_embeddings(cfg(clip, checkpoint=str(file)), ['crow'])
