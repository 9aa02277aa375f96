"""A small trained classifier with class names, made in a moment."""

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from safetensors.torch import save_file

from lore_mm.apis import init_model
from lore_mm.engine.trained_weights import black_box_facts, drop_frozen

# Arguments that make adapt quick, but for its weights.
SMALL = dict(
    black_box='test_vit',
    knowledge='random',
    img_size=32,
    batch_size=8,
    amp=False,
    workers=0,
)
CLASSES = ('class_0', 'class_1', 'class_2')


@pytest.fixture
def vit_file(tmp_path):
    """Weights of a Black Box: random ones would differ at each build."""
    torch.manual_seed(0)
    model = timm.create_model('test_vit', img_size=64, depth=2, num_classes=0)
    save_file(model.state_dict(), tmp_path / 'vit.safetensors')
    return tmp_path / 'vit.safetensors'


@pytest.fixture
def classifier_config(tiny_config, vit_file):
    """Path of a config whose number of classes is left to the data."""
    return tiny_config(
        model__backbone__black_box__checkpoint=str(vit_file),
        model__backbone__black_box__depth=2,
        model__neck__num_classes=None,
        model__head__num_classes=None,
        model__data_preprocessor__num_classes=None,
    )


@pytest.fixture
def checkpoint(tmp_path, classifier_config):
    """A checkpoint as :class:`TrainedWeightsHook` writes it."""
    cfg = Config.fromfile(classifier_config)
    torch.manual_seed(1)
    with pytest.warns(UserWarning, match='untrained weights'):
        model = init_model(cfg)
    path = tmp_path / 'run' / 'best_accuracy_top1_epoch_1.pth'
    path.parent.mkdir()
    meta = dict(
        cfg=model.cfg.pretty_text,
        classes=list(CLASSES),
        dataset_meta=dict(classes=CLASSES),
        black_box=black_box_facts(model),
    )
    state = drop_frozen(model.state_dict(), model)
    torch.save(dict(meta=meta, state_dict=state), path)
    return path


@pytest.fixture
def own_scope():
    """What adapt leaves of mmengine's scopes is no other test's."""
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """File of a whole ``test_vit``, as adapt takes it by its name."""
    torch.manual_seed(0)
    model = timm.create_model('test_vit', img_size=64, num_classes=0)
    path = tmp_path_factory.mktemp('weights') / 'vit.safetensors'
    save_file(model.state_dict(), path)
    return path


@pytest.fixture
def small(weights):
    """Arguments that make ``adapt`` quick."""
    return dict(SMALL, checkpoint=weights, epochs=1)


@pytest.fixture
def folder(tiny_image_folder):
    return tiny_image_folder(num_classes=3, per_class=10, size=40)


def times(out):
    """When each file was written; logs of this process go on."""
    return {
        path: path.stat().st_mtime_ns
        for path in out.rglob('*')
        if path.suffix != '.log'
    }
