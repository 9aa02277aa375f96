"""init_model: a config, a checkpoint or a folder; no data, no encoder."""

import shutil
import uuid

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS

from lore_mm.apis import init_model
from lore_mm.engine import CheckpointError, ConfigError
from lore_mm.engine.trained_weights import black_box_facts, drop_frozen
from lore_mm.models import KnowledgeLocalityNeck, ZeroShotHead

CLASSES = ('class_0', 'class_1', 'class_2')


@pytest.fixture
def no_data(tmp_path, classifier_config, checkpoint):
    """The images are gone: another machine."""
    shutil.rmtree(tmp_path / 'images_3')


def logits(model):
    torch.manual_seed(0)
    img = torch.rand(2, 3, 64, 64, device=next(model.parameters()).device)
    with torch.no_grad():
        return model(img, mode='tensor')


@pytest.mark.usefixtures('no_data')
def test_config_and_checkpoint_or_either_alone(
    classifier_config, checkpoint, monkeypatch
):
    def encode(*_):
        raise AssertionError('the knowledge encoder was asked')

    monkeypatch.setattr(KnowledgeLocalityNeck, 'set_classes', encode)
    models = [
        init_model(classifier_config, checkpoint, device='cpu'),
        init_model(Config.fromfile(classifier_config), str(checkpoint)),
        init_model(checkpoint),
        init_model(str(checkpoint.parent)),
        init_model(classifier_config, checkpoint.parent),
    ]
    for model in models:
        assert not any(m.training for m in model.modules())
        assert model.dataset_meta['classes'] == CLASSES
        assert model.cfg.model.head.num_classes == 3
        state = torch.load(checkpoint, weights_only=True)['state_dict']
        assert model.head.fc.weight.equal(state['head.fc.weight'])
        assert logits(model)[0].equal(logits(models[0])[0])


def test_a_run_of_the_training_tool(classifier_config, tmp_path):
    """What training leaves behind is enough."""
    cfg = Config.fromfile(classifier_config)
    cfg.experiment_name = uuid.uuid4().hex
    cfg.train_cfg.max_epochs = 1
    runner = RUNNERS.build(cfg)
    runner.train()
    shutil.rmtree(tmp_path / 'images_3')
    model = init_model(cfg.work_dir)
    assert model.dataset_meta['classes'] == ('class 0', 'class 1', 'class 2')
    trained = runner.model.head.fc.weight
    assert model.head.fc.weight.equal(trained.cpu())


def test_options_override(classifier_config, checkpoint):
    options = {'model.backbone.fast': False}
    model = init_model(classifier_config, checkpoint, cfg_options=options)
    assert not model.backbone.fast
    assert 'fast' not in Config.fromfile(classifier_config).model.backbone


def test_misspelt_options_are_refused(classifier_config, checkpoint):
    """Training refuses them too; here they would change nothing."""
    for key, said in (
        ('modle.backbone.white_box', "'modle' .did you mean 'model'"),
        ('img_size', "'img_size' would change nothing"),
    ):
        for sources in ((classifier_config, checkpoint), (checkpoint,)):
            with pytest.raises(ConfigError, match=said):
                init_model(*sources, cfg_options={key: None})


def test_checkpoint_with_an_unknown_key_loads(checkpoint):
    """It is of another version; options are judged, its config is not."""
    content = torch.load(checkpoint, weights_only=True)
    content['meta']['cfg'] += '\nof_an_earlier_version = 1\n'
    torch.save(content, checkpoint)
    assert init_model(checkpoint, cfg_options={'model.head.scale': 3.0})


@pytest.mark.parametrize(
    'device,said',
    [
        ('cpy', r"device 'cpy' cannot be used here \(Expected one of"),
        pytest.param(
            'cuda',
            r"device 'cuda' cannot be used here .*take 'cpu'",
            marks=pytest.mark.skipif(
                torch.cuda.is_available(), reason='there is a GPU'
            ),
        ),
    ],
)
def test_device_that_is_not_there(classifier_config, checkpoint, device, said):
    with pytest.raises(ValueError, match=said):
        init_model(classifier_config, checkpoint, device=device)


def test_a_config_is_not_changed(classifier_config, checkpoint):
    cfg = Config.fromfile(classifier_config)
    before = cfg.pretty_text
    init_model(cfg, checkpoint, cfg_options={'model.head.scale': 3.0})
    assert cfg.pretty_text == before


@pytest.mark.usefixtures('no_data')
def test_missing_things(classifier_config, checkpoint, tmp_path):
    with pytest.raises(FileNotFoundError, match='did you mean .*vit-s_text'):
        init_model('lore/vit-s_textil', checkpoint)
    with pytest.raises(CheckpointError, match='gone.pth does not exist'):
        init_model(classifier_config, 'gone.pth')
    with pytest.raises(CheckpointError, match='gone.pth does not exist'):
        init_model('gone.pth')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match="no checkpoint in '.*empty'"):
        init_model(tmp_path / 'empty')
    with pytest.raises(ConfigError, match='num_classes is None, and neither'):
        init_model(classifier_config)
    bare = dict(state_dict=torch.load(checkpoint)['state_dict'])
    torch.save(bare, tmp_path / 'bare.pth')
    with pytest.raises(CheckpointError, match='bare.pth: .* carry its config'):
        init_model(tmp_path / 'bare.pth')


def test_another_black_box_and_other_classes(classifier_config, checkpoint):
    options = {'model.backbone.black_box.checkpoint': None}
    with pytest.raises(CheckpointError, match=r'best.*pth: .*\(test_vit\)'):
        init_model(classifier_config, checkpoint, cfg_options=options)
    with pytest.raises(
        CheckpointError, match='head.num_classes is 4, but the checkpoint has'
    ):
        init_model(
            classifier_config,
            checkpoint,
            cfg_options={'model.head.num_classes': 4},
        )
    named = {'test_dataloader.dataset.metainfo': dict(classes=['a', 'b', 'c'])}
    with pytest.raises(CheckpointError, match="'class_0' there and 'a' here"):
        init_model(classifier_config, checkpoint, cfg_options=named)
    with pytest.raises(CheckpointError, match='misses|unexpected'):
        init_model(
            classifier_config,
            checkpoint,
            cfg_options={'model.backbone.white_box': None},
        )


@pytest.mark.usefixtures('no_data')
def test_one_number_is_enough_without_data(classifier_config):
    options = {'model.head.num_classes': 3}
    with pytest.warns(UserWarning, match='untrained weights'):
        model = init_model(classifier_config, cfg_options=options)
    assert model.neck.num_classes == model.head.num_classes == 3
    assert 'classes' not in model.dataset_meta


@pytest.mark.filterwarnings('ignore:no checkpoint')
def test_a_head_made_of_texts(classifier_config, tmp_path, monkeypatch):
    """Names are embedded where no checkpoint brought their embeddings."""
    cfg = Config.fromfile(classifier_config)
    cfg.model.neck = None
    cfg.model.backbone.white_box = None
    cfg.model.head = dict(
        type='lore_mm.ZeroShotHead',
        num_classes=None,
        in_channels=64,
        knowledge=dict(type='lore_mm.RandomTextEncoder', embed_dims=64),
    )
    names = ('class 0', 'class 1', 'class 2')
    assert init_model(cfg).dataset_meta['classes'] == names  # the data's
    shutil.rmtree(tmp_path / 'images_3')
    cfg.model.head.num_classes = 3
    with pytest.raises(ConfigError, match='ZeroShotHead compares .* names'):
        init_model(cfg)
    cfg.test_dataloader.dataset.metainfo = dict(classes=CLASSES)
    model = init_model(cfg)
    lengths = model.head.class_embeddings.norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones(3))
    meta = dict(classes=list(CLASSES), black_box=black_box_facts(model))
    state = drop_frozen(model.state_dict(), model)
    torch.save(dict(meta=meta, state_dict=state), tmp_path / 'text.pth')

    def encode(*_):
        raise AssertionError('the text encoder was asked')

    monkeypatch.setattr(ZeroShotHead, 'set_classes', encode)
    again = init_model(cfg, tmp_path / 'text.pth')
    assert again.head.class_embeddings.equal(model.head.class_embeddings)


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        "a = __import__('os').system('touch ran')",
        'a = dict(**b)',
        'a = [x for x in (1, 2)]',
        'model = (',
    ],
)
def test_a_config_that_would_run_code(checkpoint, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = torch.load(checkpoint, weights_only=True)
    content['meta']['cfg'] = f'{text}\n'
    torch.save(content, 'evil.pth')
    with pytest.raises(CheckpointError, match='evil.pth: .* was not run'):
        init_model('evil.pth')
    assert not (tmp_path / 'ran').exists()
