"""MMPretrainBlackBox: sources of weights, grids of positions, refusals."""

import hashlib
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.apis import ModelHub
from mmpretrain.models import ImageClassifier, VisionTransformer

from lore_mm.models.black_boxes import MMPretrainBlackBox

ARCH = dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48)
BACKBONE = dict(type='VisionTransformer', arch=ARCH, patch_size=8)


@pytest.fixture
def classifier() -> ImageClassifier:
    """A tiny classifier of mmpretrain, for 48 px."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = ImageClassifier(
            backbone={**BACKBONE, 'img_size': 48},
            head=dict(
                type='VisionTransformerClsHead', num_classes=5, in_channels=24
            ),
        )
        model.init_weights()
    model.eval()
    return model


@pytest.fixture
def save(tmp_path):
    """Factory ``save(state)`` -> path, named by its hash as in the zoo."""

    def make(state) -> str:
        path = tmp_path / 'vit.pth'
        torch.save({'meta': {}, 'state_dict': state}, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return str(path.rename(tmp_path / f'vit-{digest[:8]}.pth'))

    return make


@pytest.mark.parametrize('whole', [True, False])
@pytest.mark.parametrize('img_size', [32, (16, 64)])
@torch.no_grad()
def test_local_file(classifier, save, whole, img_size):
    part = classifier if whole else classifier.backbone
    path = save(part.state_dict())
    black_box = MMPretrainBlackBox(
        BACKBONE, checkpoint=path, img_size=img_size
    )
    assert torch.equal(black_box.position_table, classifier.backbone.pos_embed)
    for size in ((48, 48), (32, 32), (16, 64)):
        img = torch.randn(2, 3, *size)
        assert torch.equal(black_box(img)[:, 0], classifier.backbone(img)[0])


def test_backbone_config_is_not_changed(classifier, save):
    cfg = dict(BACKBONE, out_type='featmap', init_cfg=[dict(type='Kaiming')])
    before = dict(cfg)
    path = save(classifier.state_dict())
    black_box = MMPretrainBlackBox(cfg, checkpoint=path)
    assert cfg == before
    assert black_box.model.out_type == 'raw'


def test_default_scope_of_another_project():
    import mmseg.models  # noqa: F401  registers a VisionTransformer, too

    with DefaultScope.overwrite_default_scope('mmseg'):
        black_box = MMPretrainBlackBox(BACKBONE, img_size=32)
    assert type(black_box.model) is VisionTransformer


def test_size_of_random_weights():
    black_box = MMPretrainBlackBox(BACKBONE, img_size=(16, 64))
    assert black_box.position_table.shape[1] == 1 + 2 * 8
    assert black_box.position_table.std() > 0.01
    named = MMPretrainBlackBox(dict(BACKBONE, img_size=32), img_size=64)
    assert named.position_table.shape[1] == 1 + 4 * 4
    with pytest.raises(ValueError, match='multiple of the patch size 8, got'):
        MMPretrainBlackBox(BACKBONE, img_size=30)


def test_normalisation_can_be_given():
    black_box = MMPretrainBlackBox(BACKBONE, mean=[1, 2, 3], std=[4, 5, 6])
    assert (black_box.mean, black_box.std) == ((1, 2, 3), (4, 5, 6))


@pytest.fixture
def zoo(classifier, save, monkeypatch) -> SimpleNamespace:
    """A model zoo with one entry, whose weights lie in a local file."""
    config = Config(
        dict(
            model=dict(backbone={**BACKBONE, 'img_size': 48}),
            data_preprocessor=dict(mean=[1, 2, 3], std=[4, 5, 6]),
        )
    )
    path = save(classifier.state_dict())
    entry = SimpleNamespace(config=config, weights=f'file://{path}')
    monkeypatch.setattr(ModelHub, 'get', lambda name: entry)
    return entry


def test_weights_of_the_zoo(classifier, zoo, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    black_box = MMPretrainBlackBox(model_name='tiny', pretrained=True)
    assert torch.equal(
        black_box.model.cls_token, classifier.backbone.cls_token
    )
    assert (black_box.mean, black_box.std) == ((1, 2, 3), (4, 5, 6))
    assert black_box.describe() == 'MMPretrainBlackBox(tiny)'


def test_another_activation_is_told(zoo):
    quick = dict(layer_cfgs=dict(act_cfg=dict(type='QuickGELU')))
    said = [
        MMPretrainBlackBox(
            {**BACKBONE, 'arch': 'deit-tiny', **more}
        ).describe()
        for more in ({}, quick)
    ]
    name = 'MMPretrainBlackBox(VisionTransformer, deit-tiny'
    assert said == [f'{name})', f'{name}, QuickGELU)']
    zoo.config.model.backbone.update(quick)
    assert MMPretrainBlackBox(model_name='tiny').describe() == (
        'MMPretrainBlackBox(tiny)'
    )


def test_zoo_without_weights(zoo):
    random = MMPretrainBlackBox(model_name='tiny')
    assert random.embed_dims == 24
    zoo.weights = None
    with pytest.raises(ValueError, match='lists no weights'):
        MMPretrainBlackBox(model_name='tiny', pretrained=True)


def test_model_of_the_real_zoo():
    with pytest.raises(ValueError, match='vit-xxl.*list_models'):
        MMPretrainBlackBox(model_name='vit-xxl')
    black_box = MMPretrainBlackBox(model_name='deit-tiny_4xb256_in1k')
    assert black_box.patch_size == 16


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda s: s.pop('backbone.ln1.weight'),
            'missing: ln1.weight',
        ),
        (lambda s: s.pop('backbone.pos_embed'), 'missing: pos_embed'),
        (
            lambda s: s.update({'backbone.odd': torch.zeros(1)}),
            'unexpected: odd',
        ),
        (
            lambda s: s.update({'ema.odd': torch.zeros(1)}),
            'unexpected: ema.odd',
        ),
    ],
)
def test_strict_loading(classifier, save, change, message):
    state = classifier.state_dict()
    change(state)
    with pytest.raises(RuntimeError, match=f'vit-.*{message}'):
        MMPretrainBlackBox(BACKBONE, checkpoint=save(state))


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({}, 'give one of backbone and model_name'),
        (
            {'backbone': BACKBONE, 'model_name': 'x'},
            'give one of backbone and model_name',
        ),
        (
            {'backbone': BACKBONE, 'pretrained': True},
            'pretrained=True needs model_name',
        ),
        (
            {'model_name': 'x', 'pretrained': True, 'checkpoint': 'y'},
            'two sources of weights',
        ),
        ({'backbone': {'type': 'ResNet'}}, "VisionTransformer.*got 'ResNet'"),
        ({'backbone': {}}, 'got None'),
        (
            {
                'backbone': {
                    **BACKBONE,
                    'init_cfg': {'type': 'Pretrained', 'checkpoint': 'x'},
                }
            },
            'give its file as checkpoint',
        ),
        (
            {'backbone': {**BACKBONE, 'with_cls_token': False}},
            'with_cls_token=True',
        ),
        (
            {
                'backbone': {
                    **BACKBONE,
                    'type': 'DistilledVisionTransformer',
                    'pre_norm': True,
                }
            },
            'no pre_norm',
        ),
        (
            {'backbone': {**BACKBONE, 'patch_cfg': {'stride': 4}}},
            'tile the image',
        ),
    ],
)
def test_refusals(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MMPretrainBlackBox(**kwargs)
