"""On a GPU no tensor of the CPU is mixed in, and none is of float64.

Fake tensors have a shape and a device but no values, so no GPU is needed.
"""

import importlib.util
import inspect
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from torch import nn

from lore_mm import apis
from lore_mm.datasets.pair_images import LoadedImage
from lore_mm.evaluation.functional.affinity import build_window
from lore_mm.evaluation.functional.label_propagation import LabelPropagation
from lore_mm.models.backbones.attention import attention_of_blocks, rollout
from lore_mm.models.matchers.matching import READOUTS, interpolation
from lore_mm.registry import MODELS

# Both are private to torch and may move.
fakes = pytest.importorskip('torch._subclasses.fake_tensor')
dispatch = pytest.importorskip('torch.utils._python_dispatch')

GPU = torch.device('cuda:0')
PRESETS = ('released', 'paper', 'extended')
TOOLS = Path(__file__).resolve().parents[2] / 'tools'
TIMM = dict(type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=64)
MMPRETRAIN = dict(
    type='lore_mm.MMPretrainBlackBox',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=64, num_layers=3, num_heads=2, feedforward_channels=128
        ),
        patch_size=16,
    ),
    img_size=64,
)
LOAD = [dict(type='lore_mm.LoadRGBImage')]
PIXELS = dict(mean=[127.5] * 3, std=[127.5] * 3)


class MadeUpValues(dispatch.TorchDispatchMode):
    """Fake tensors whose values can be read: all of them are 1.

    Refuses float64 on a GPU, which Apple's do not have.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            dtype = args[0].dtype
            kind = float if dtype.is_floating_point else int
            return kind(1) if dtype != torch.bool else True
        if func is torch.ops.aten.nonzero.default:
            shape = args[0].numel(), args[0].ndim
            return args[0].new_zeros(shape, dtype=torch.int64)
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, tuple | list) else (out,):
            if isinstance(each, torch.Tensor) and each.dtype == torch.float64:
                assert each.device.type == 'cpu', f'{func} gives float64'
        return out


@pytest.fixture
def gpu(monkeypatch):
    """``with gpu(*models):``: what is run inside is run on a GPU."""
    # The cache of positions asks where the table is.
    monkeypatch.setattr(fakes.FakeTensor, 'data_ptr', lambda self: 1)

    @contextmanager
    def enter(*models):
        fake = fakes.FakeTensorMode(allow_non_fake_inputs=True)
        with fake, MadeUpValues():
            for model in models:
                _move(model)
            yield

    yield enter
    for cached in (interpolation, build_window):
        cached.cache_clear()  # other tests want values


def _move(model):
    """``model.to(GPU)``; parameters cannot be swapped for fake ones."""
    for module in model.modules():
        for name, value in module._parameters.items():
            if value is not None:
                moved = torch.empty_like(value, device=GPU)
                module._parameters[name] = nn.Parameter(
                    moved, value.requires_grad
                )
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = torch.empty_like(value, device=GPU)
        if hasattr(module, '_device'):  # of a data preprocessor
            module._device = GPU


def build(**cfg):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg)


def lore(preset='released', black_box=TIMM, **options):
    white_box = dict(type='lore_mm.WhiteBox', preset=preset)
    boxes = dict(black_box=black_box, white_box=white_box)
    return dict(type='lore_mm.LOREViT', **boxes, **options)


def classifier(preset='released', black_box=TIMM):
    backbone = build(**lore(preset, black_box, out_type='lore'))
    local = backbone.white_box.pooled_dims if preset == 'extended' else 0
    model = build(
        type='ImageClassifier',
        data_preprocessor=dict(
            type='ClsDataPreprocessor', num_classes=3, **PIXELS
        ),
        backbone=backbone,
        neck=dict(
            type='lore_mm.KnowledgeLocalityNeck',
            num_classes=3,
            embed_dims=64,
            text_dims=16,
            knowledge=dict(type='lore_mm.RandomTextEncoder', embed_dims=16),
            preset='paper' if preset == 'paper' else 'released',
        ),
        head=dict(
            type='lore_mm.LOREHead',
            num_classes=3,
            in_channels=64,
            local_channels=local,
            negative_source='black_box',
            constraint=dict(type='lore_mm.PrototypeConstraintLoss'),
        ),
    )
    model.cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=LOAD))))
    model.dataset_meta = dict(classes=('a', 'b', 'c'))
    return model


def batch(number=2):
    """Images as a data set gives them, of 64 x 96 pixels."""
    samples = [DataSample().set_gt_label(i) for i in range(number)]
    for index, sample in enumerate(samples):
        sample.set_field(index + 1, 'negative_label')
    inputs = [torch.zeros(3, 64, 96, dtype=torch.uint8) for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


def tool(name):
    """A script of ``tools/analysis`` as a module."""
    spec = importlib.util.spec_from_file_location(
        name, TOOLS / f'analysis/{name}.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mixing_and_float64_are_noticed(gpu):
    with gpu():
        mine = torch.zeros(2, device=GPU)
        with pytest.raises(RuntimeError, match='on the same device'):
            mine + torch.zeros(2)
        with pytest.raises(AssertionError, match='gives float64'):
            mine.double()


@pytest.mark.parametrize(
    'black_box', [TIMM, MMPRETRAIN], ids=lambda b: b['type']
)
@pytest.mark.parametrize('preset', PRESETS)
def test_classifier(gpu, preset, black_box):
    model = classifier(preset, black_box)
    with gpu(model):
        model.train()
        losses = model(**model.data_preprocessor(batch(), True), mode='loss')
        assert len(losses) > 1
        assert {each.device for each in losses.values()} == {GPU}
        model.eval()
        data = model.data_preprocessor(batch(), False)
        with torch.no_grad():
            features = model.extract_feat(data['inputs'])
            assert model.head(features).device == GPU
            model(**data, mode='predict')


@pytest.mark.parametrize('kind', ['PromptedViT', 'LoRAViT'])
def test_rivals(gpu, kind):
    model = build(type=f'lore_mm.{kind}', black_box=TIMM)
    with gpu(model):
        img = torch.zeros(2, 3, 64, 96, device=GPU)
        for mode in (True, False):
            assert model.train(mode)(img)[-1].device == GPU


@pytest.mark.parametrize('preset', PRESETS)
def test_retriever(gpu, preset):
    model = build(
        type='lore_mm.ImageRetriever', backbone=lore(preset), scales=(1, 0.7)
    ).eval()
    with gpu(model), torch.no_grad():
        images = [torch.zeros(3, side, 96, device=GPU) for side in (64, 48)]
        assert model(images).device == GPU


@pytest.mark.parametrize('readout', READOUTS)
def test_matcher(gpu, readout):
    model = build(
        type='lore_mm.KeypointMatcher',
        backbone=lore(out_type='featmap'),
        readout=readout,
        data_preprocessor=PIXELS,
    ).eval()
    with gpu(model):
        pixels = torch.zeros(3, 64, 96, dtype=torch.uint8)
        image = LoadedImage(pixels, (1.0, 1.0), (96, 64))
        features = model._forward_images([image, image])
        assert features[0].tokens.device == GPU
        found = model.match(*features, np.ones((5, 2)))
    assert found['points'].dtype == torch.float64
    assert {each.device.type for each in found.values()} == {'cpu'}


def test_label_propagation(gpu):
    state = LabelPropagation(top_k=3)
    mask = np.eye(64, dtype=np.uint8)
    with gpu():
        features = torch.zeros(16, 8, 8, device=GPU)
        state.start(features, mask)
        assert state.step(features).device == GPU


@pytest.mark.parametrize('preset', PRESETS)
def test_attention_of_blocks(gpu, preset):
    model = build(**lore(preset)).eval()
    with gpu(model):
        img = torch.zeros(1, 3, 64, 96, device=GPU)
        for bare in (True, False):
            weights = attention_of_blocks(model, img, bare)
            assert rollout(weights).device == GPU


def test_kept_attention_takes_no_gpu_memory(gpu, monkeypatch):
    visualize = apis.AttentionVisualizer(classifier())
    pixels = np.zeros((64, 96, 3), np.uint8)
    with gpu(visualize.model):
        inputs = torch.zeros(1, 3, 64, 96, device=GPU)
        monkeypatch.setattr(visualize, 'prepare', lambda _: (pixels, inputs))
        kept = visualize.read('photo.jpg')
    tensors = [*kept.black_box, *kept.lore, kept.kla]
    assert {each.device.type for each in tensors} == {'cpu'}


def test_locality(gpu):
    model = classifier().eval()
    mask = np.zeros((64, 96), bool)
    mask[16:32] = True
    sample = (np.zeros((64, 96, 3), np.uint8), mask, 'a')
    with gpu(model):
        found = tool('locality').measure([model], iter([sample]), 64)
    assert found['images'] == 1


def test_the_benchmark_of_videos_stays_on_the_cpu(monkeypatch):
    """Its clock counts CPU seconds."""
    module, asked = tool('benchmark_vos'), {}

    def infer(config, **options):
        asked.update(options)
        return SimpleNamespace(model=SimpleNamespace())

    monkeypatch.setattr(module, 'VideoSegmentationInferencer', infer)
    monkeypatch.setattr(module.torch, 'stack', lambda _: None)
    with pytest.raises(IndexError):
        module.vit_features('config', [], 0)
    assert asked == dict(device='cpu')


def test_all_of_the_api_takes_a_gpu_where_there_is_one():
    asking = {
        name: inspect.signature(getattr(apis, name)).parameters['device']
        for name in apis.__all__
        if 'device' in inspect.signature(getattr(apis, name)).parameters
    }
    assert len(asking) >= 7
    assert {name for name, each in asking.items() if each.default} == set()
