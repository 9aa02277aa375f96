"""What shipped configs say about themselves, and how they differ."""

import ast
import copy
import re
from functools import lru_cache
from pathlib import Path

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import nn

from lore_mm.engine import check_config_keys
from lore_mm.models import WhiteBox
from lore_mm.models.white_box.presets import PRESETS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# The other tasks have tests of their own.
CLASSIFIERS = ('lore', 'baselines', 'ablation')
LEAVES = [
    path.relative_to(CONFIGS).with_suffix('').as_posix()
    for path in sorted(CONFIGS.rglob('*.py'))
    if path.parent.name in CLASSIFIERS
]
CLASSES = dict(cub=200, textile=3, folder=2)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    for name in ('CUB_ROOT', 'TEXTILE_ROOT', 'FOLDER_ROOT', 'LORE_IMG_SIZE'):
        monkeypatch.delenv(name, raising=False)


@lru_cache
def _parsed(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'{name}.py')


def load(name: str) -> Config:
    return copy.deepcopy(_parsed(name))


def build(cfg: Config, num_classes: int) -> nn.Module:
    """The model at its real size, with no memory behind its weights."""
    model = cfg.model
    model.data_preprocessor = cfg.data_preprocessor
    for part in (model.data_preprocessor, model.head, model.get('neck')):
        if part is not None:
            assert part.num_classes is None
            part.num_classes = num_classes
    box = model.backbone.black_box
    box.pop('checkpoint', None)
    # The size that the weights were trained at, as their positions have it.
    side = timm.get_pretrained_cfg(box.model_name).input_size[-1]
    box.update(pretrained=False, img_size=side)
    with (
        DefaultScope.overwrite_default_scope('mmpretrain'),
        torch.device('meta'),
    ):
        return MODELS.build(model)


def short(number: int) -> str:
    """Three digits: ``2.71 M``."""
    if number >= 1e6:
        return f'{number / 1e6:.3g} M'
    return f'{number / 1e3:.3g} k'


@pytest.mark.parametrize('name', LEAVES)
def test_leaf(name):
    cfg = load(name)
    check_config_keys(cfg)
    (number,) = [n for data, n in CLASSES.items() if data in name]
    model = build(cfg, number)
    check_docstring(name, model, number)
    box = model.backbone.black_box
    assert cfg.embed_dims == box.embed_dims
    assert cfg.model.head.in_channels == box.out_dims
    assert cfg.data_preprocessor.mean == pytest.approx(box.mean)
    assert cfg.data_preprocessor.std == pytest.approx(box.std)
    assert box.frozen != name.startswith('baselines/full')
    if model.neck is not None:
        assert cfg.model.neck.embed_dims == box.embed_dims
        assert cfg.model.neck.templates == cfg.template


def check_docstring(name: str, model: nn.Module, number: int) -> None:
    """It names the command and the number of trained weights."""
    text = (CONFIGS / f'{name}.py').read_text()
    said = ' '.join(ast.get_docstring(ast.parse(text)).split())
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    total = sum(n for n, _ in sizes)
    trained = sum(n for n, trains in sizes if trains)
    tool = 'train' if trained else 'test'
    assert f'python tools/{tool}.py configs/{name}.py' in said
    share = f'{short(trained)} of' if trained < total else 'all'
    share = share if trained else 'none of'
    assert f'trains {share} {short(total)} weights ({number} classes)' in said


def flat(value: object, key: str = '') -> dict:
    """Leaves of nested dicts by their dotted keys."""
    if not isinstance(value, dict):
        return {key: value}
    found = {}
    for name, each in value.items():
        found |= flat(each, f'{key}.{name}' if key else name)
    return found


def differences(first: str, second: str) -> dict:
    """Keys of the second config that differ from the first, or lack."""
    one, two = flat(load(first).to_dict()), flat(load(second).to_dict())
    missing = object()
    return {
        key: two.get(key)
        for key in one.keys() | two.keys()
        if one.get(key, missing) != two.get(key, missing)
    }


WHITE_BOX = 'model.backbone.white_box.preset'


@pytest.mark.parametrize('data', ['cub', 'textile'])
@pytest.mark.parametrize(
    'name,changed',
    [
        (
            'released',
            {WHITE_BOX: 'released', 'model.head.local_channels': None},
        ),
        (
            'paper',
            {
                WHITE_BOX: 'paper',
                'model.neck.preset': 'paper',
                'model.head.local_channels': None,
            },
        ),
    ],
)
def test_ablation_changes_one_thing(data, name, changed):
    found = differences(f'lore/vit-s_{data}', f'ablation/vit-s_{data}_{name}')
    assert found == changed


@pytest.mark.parametrize('data', ['cub', 'textile'])
def test_ablation_without_the_constraint(data):
    leaf, ablation = f'lore/vit-s_{data}', f'ablation/vit-s_{data}_no-kp'
    found = differences(leaf, ablation)
    assert all(
        key.startswith(('model.neck', 'model.head.constraint'))
        for key in found
    )
    cfg = load(ablation)
    assert cfg.model.neck is cfg.model.head.constraint is None


@pytest.mark.parametrize('data', ['cub', 'textile', 'folder'])
def test_baseline_is_the_same_with_another_model(data):
    for leaf in [name for name in LEAVES if name.startswith('lore/')]:
        if not leaf.endswith(f'_{data}'):
            continue
        for kind in ('linear', 'full', 'vpt-shallow', 'vpt-deep'):
            other = leaf.replace('lore/', f'baselines/{kind}_')
            kept = {key.split('.')[0] for key in differences(leaf, other)}
            recipe = {'model', 'optim_wrapper', 'custom_hooks', 'train_cfg'}
            assert kept <= recipe, other


@pytest.mark.parametrize('box', ['vit-s', 'clip-b16'])
def test_published_recipe(box):
    cfg = load(f'lore/{box}_cub_published')
    assert cfg.optim_wrapper == dict(
        optimizer=dict(type='SGD', lr=0.003, momentum=0.9, weight_decay=0.5)
    )
    assert cfg.param_scheduler.eta_min == 0.0001
    assert cfg.train_cfg.max_epochs == 50
    assert cfg.train_dataloader.batch_size == 32
    assert cfg.custom_hooks == [
        dict(type='lore_mm.NormStatisticsHook', mode='freeze', epochs=1)
    ]
    assert cfg.model.head.scale == 100
    model = build(cfg, 2)
    assert model.head.negative_source == 'black_box'
    loss = model.head.constraint
    assert (loss.positive_weight, loss.negative_weight) == (0.1, 0.1)
    assert model.neck.attention.preset == 'released'
    assert same_white_box(model, 'released')


@pytest.mark.parametrize('data', ['cub', 'textile'])
@pytest.mark.parametrize('preset', PRESETS)
def test_config_has_the_whole_preset(data, preset):
    leaf = f'ablation/vit-s_{data}_{preset}'
    if preset == 'extended':
        leaf = f'lore/vit-s_{data}'
    model = build(load(leaf), 2)
    assert same_white_box(model, preset)
    wide = model.backbone.white_box.pooled_dims
    assert model.head.local_channels == (wide if preset == 'extended' else 0)


def same_white_box(model: nn.Module, preset: str) -> bool:
    """Whether no value of the preset is overridden."""
    box = model.backbone.black_box
    with torch.device('meta'):
        plain = WhiteBox(box.embed_dims, box.num_layers, preset=preset)
    white_box = model.backbone.white_box
    facts = [
        {k: v for k, v in vars(each).items() if not k.startswith('_')}
        for each in (plain, white_box)
    ]
    return facts[0] == facts[1] and repr(plain) == repr(white_box)


@pytest.mark.parametrize('data', ['cub', 'textile', 'folder'])
def test_one_setting_changes_the_image_size(monkeypatch, data):
    name = f'vit-s_{data}'
    assert load(f'lore/{name}').img_size == 224
    monkeypatch.setenv('LORE_IMG_SIZE', '126')
    cfg = Config.fromfile(CONFIGS / f'lore/{name}.py')
    assert cfg.img_size == 126
    for split in ('train', 'val', 'test'):
        steps = str(cfg[f'{split}_dataloader'])
        assert '126' in steps
        assert not re.search(r'\b(224|256)\b', steps)
