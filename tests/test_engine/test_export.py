"""Exported networks compute what PyTorch computes, or are not written."""

import json

import pytest
import torch
from mmengine.config import Config
from torch import nn

from lore_mm.apis.model import build_model
from lore_mm.engine import export
from lore_mm.engine.export import (
    ExportError,
    compare,
    export_model,
    load_exported,
    random_images,
)
from lore_mm.engine.export_module import ExportModule, torch_runner

SIZE = (32, 48)
TIMM = dict(
    type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=64, depth=3
)
LORE = dict(type='lore_mm.LOREViT', out_type='lore')
CLIP = dict(
    type='lore_mm.TimmBlackBox',
    model_name='vit_base_patch16_clip_quickgelu_224',
    embed_dim=48,
    depth=3,
    num_heads=4,
    num_classes=64,  # of the projection
    img_size=64,
)
MM = dict(
    type='lore_mm.MMPretrainBlackBox',
    backbone=dict(
        type='VisionTransformer',
        patch_size=16,
        arch=dict(
            embed_dims=64,
            num_layers=3,
            num_heads=4,
            feedforward_channels=96,
        ),
    ),
    img_size=64,
)


def white_box(preset):
    return dict(type='lore_mm.WhiteBox', preset=preset)


def classifier(backbone, local_channels=0):
    torch.manual_seed(0)
    backbone = {'black_box': TIMM, **backbone}
    cfg = Config(
        dict(
            model=dict(
                type='mmpretrain.ImageClassifier',
                data_preprocessor=dict(
                    type='mmpretrain.ClsDataPreprocessor',
                    mean=[123.675, 116.28, 103.53],
                    std=[58.395, 57.12, 57.375],
                ),
                backbone=backbone,
                head=dict(
                    type='lore_mm.LOREHead',
                    num_classes=3,
                    in_channels=64,
                    local_channels=local_channels,
                    scale=16.0,
                ),
            )
        )
    )
    model = build_model(cfg)
    for part in model.modules():  # statistics that folding must not lose
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)
            part.bias.data.uniform_(-0.5, 0.5)
    model.dataset_meta = dict(classes=('a', 'b', 'c'))
    return model


BACKBONES = {
    'bare': dict(LORE),
    'released': dict(LORE, white_box=white_box('released')),
    'paper': dict(LORE, white_box=white_box('paper')),
    'extended': dict(LORE, white_box=white_box('extended')),
    'clip': dict(LORE, white_box=white_box('released'), black_box=CLIP),
    'mmpretrain': dict(LORE, white_box=white_box('released'), black_box=MM),
    'vpt': dict(type='lore_mm.PromptedViT', num_prompts=3, out_type='lore'),
    'lora': dict(type='lore_mm.LoRAViT', rank=2, alpha=2, out_type='lore'),
}


@pytest.mark.parametrize('name', BACKBONES)
def test_fixed_constants_change_nothing(name):
    model = classifier(BACKBONES[name], 128 if name == 'extended' else 0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    images = random_images(3, SIZE, seed=0)
    for output in ('logits', 'cls_token', 'featmap', 'raw'):
        module = ExportModule(model, output, SIZE)
        with torch.no_grad():
            got = module(images)
        wanted = torch_runner(model, output)(images)
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
    assert model.backbone.out_type == 'lore'
    after = model.state_dict()
    assert all(value.equal(after[key]) for key, value in before.items())


def test_the_model_as_it_is_called():
    """The reference is the stock classifier's own way."""
    model = classifier(BACKBONES['released'])
    images = random_images(2, SIZE, seed=0)
    batch = model.data_preprocessor(dict(inputs=list(images)))
    with torch.no_grad():
        wanted = model(batch['inputs'], mode='tensor')
    torch.testing.assert_close(torch_runner(model, 'logits')(images), wanted)


@pytest.mark.parametrize('name', ['paper', 'clip', 'mmpretrain', 'vpt'])
def test_graphs_for_any_number_of_images(name):
    model = classifier(BACKBONES[name])
    module = ExportModule(model, 'cls_token', SIZE)
    program = export._program(module, random_images(2, SIZE, seed=0))
    runner = torch_runner(model, 'cls_token')
    found = compare(runner, program.module(), (1, 3, 4), SIZE)
    assert max(found.values()) < 1e-5


def test_torch_file(tmp_path):
    model = classifier(BACKBONES['extended'], 128)
    target = tmp_path / 'new' / 'lore.pt2'
    found = export_model(model, target, 'torch', SIZE, batch_sizes=(1, 3))
    assert set(found) == {1, 3}
    assert max(found.values()) < 1e-5
    files = {export.FACTS_NAME: ''}
    with target.open('rb') as file:
        torch.export.load(file, extra_files=files)
    facts = json.loads(files[export.FACTS_NAME])
    assert facts['classes'] == ['a', 'b', 'c']
    assert facts['img_size'] == list(SIZE)
    images = random_images(2, SIZE, seed=7)
    got = load_exported(target, 'torch')(images)
    torch.testing.assert_close(got, torch_runner(model, 'logits')(images))
    assert [path.name for path in target.parent.iterdir()] == ['lore.pt2']


def test_onnx_file(tmp_path):
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    model = classifier(BACKBONES['extended'], 128)
    target = tmp_path / 'lore.onnx'
    found = export_model(model, target, 'onnx', SIZE)
    assert set(found) == {1, 2, 5}
    assert max(found.values()) < 1e-4
    proto = onnx.load(target)
    (entry,) = [e for e in proto.metadata_props if e.key == export.FACTS_NAME]
    assert json.loads(entry.value)['classes'] == ['a', 'b', 'c']
    (given,) = proto.graph.input
    dims = [
        d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim
    ]
    assert given.name == 'images'
    assert dims[1:] == [3, *SIZE]
    assert isinstance(dims[0], str)  # any number
    assert [path.name for path in tmp_path.iterdir()] == ['lore.onnx']


def test_a_wrong_file_is_not_kept(tmp_path, monkeypatch):
    model = classifier(BACKBONES['bare'])
    target = tmp_path / 'lore.pt2'
    target.write_text('the file of before')

    def write(module, example, path, facts):
        path.write_text('wrong')

    def load(shift):
        run = torch_runner(model, 'logits')
        return lambda path, kind: lambda images: run(images) + shift

    monkeypatch.setattr(export, '_write_torch', write)
    for shift, told in ((2e-4, '0.0002 at batch size'), (torch.nan, 'nan')):
        monkeypatch.setattr(export, 'load_exported', load(shift))
        with pytest.raises(ExportError, match=f'by {told}.*nothing was wri'):
            export_model(model, target, 'torch', SIZE)
        assert target.read_text() == 'the file of before'
        assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(export, 'load_exported', load(torch.zeros(2, 1, 3)))
    with pytest.raises(ExportError, match=r'gives \(2, 1, 3\) for 1 images'):
        export_model(model, target, 'torch', SIZE)


def test_bad_input(tmp_path):
    model = classifier(BACKBONES['bare'])
    with pytest.raises(ExportError, match="'torch' must end in one of"):
        export_model(model, tmp_path / 'a.onnx', 'torch', SIZE)
    with pytest.raises(ExportError, match="output must be .* got 'scores'"):
        export_model(model, tmp_path / 'a.pt2', 'torch', SIZE, 'scores')
    with pytest.raises(ValueError, match='multiples of the patch size 16'):
        export_model(model, tmp_path / 'a.pt2', 'torch', (32, 40))
    model.head = None
    with pytest.raises(ExportError, match='no head that gives logits'):
        export_model(model, tmp_path / 'a.pt2', 'torch', SIZE)
    model.backbone = nn.Identity()
    with pytest.raises(ExportError, match='of this package, got Identity'):
        export_model(model, tmp_path / 'a.pt2', 'torch', SIZE, 'raw')
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch):
    with pytest.raises(ExportError, match=r'pip install "lore_mm\[export\]"'):
        export._need('a_package_that_is_not_there')
