"""What adapt chooses: for the machine, the weights, the pictures."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from lore_mm.apis.adaptation import black_box, settings
from lore_mm.apis.adaptation.hardware import Hardware, find_hardware, make_plan
from lore_mm.apis.adaptation.scoring import Predictions, interval
from lore_mm.apis.adaptation.training import keep_best, read_curves
from lore_mm.engine.files import CheckpointError

CPU = Hardware('cpu', 'CPU', None, 4)
SMALL_GPU = Hardware('cuda', 'GPU', 3.5, 8)
GPU = Hardware('cuda', 'GPU', 24.0, 16)


def test_this_machine():
    found = find_hardware()
    assert found.cores >= 1
    assert found.device in found.name.lower() or found.memory


@pytest.mark.parametrize(
    'hardware,images,wanted',
    [
        (CPU, 6, (126, 4, 20, 0)),
        (CPU, 300, (126, 32, 10, 2)),
        (CPU, 5000, (126, 32, 4, 2)),
        (CPU, 10**6, (126, 32, 3, 2)),
        (SMALL_GPU, 10**6, (224, 16, 10, 4)),
        (GPU, 10**6, (224, 32, 10, 4)),
        (GPU, 40, (224, 8, 20, 0)),
    ],
)
def test_plan(hardware, images, wanted):
    plan = make_plan(hardware, images)
    found = (plan.img_size, plan.batch_size, plan.epochs, plan.workers)
    assert found == wanted
    assert hardware.device == 'cpu' or plan.amp


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """Set which weights there are."""

    def have(hub=(), local=None, converted=None):
        monkeypatch.setattr(black_box, 'hub_has', lambda name: name in hub)
        monkeypatch.setattr(black_box, '_converted', lambda: local)
        monkeypatch.setattr(black_box, '_convert', lambda: converted)

    return have


def test_which_vit(weights):
    base, small = black_box.NAMES['vit-b16'], black_box.NAMES['vit-s14']
    weights(hub=(base, small))
    found = black_box.find_black_box(roomy=True)
    assert found['model_name'] == base
    assert found['pretrained']
    assert black_box.find_black_box(roomy=False)['model_name'] == small
    weights(local='here.safetensors')
    for roomy in (True, False):
        found = black_box.find_black_box(roomy)
        assert found['model_name'] == 'vit_small_patch14_dinov2'
        assert found['checkpoint'] == 'here.safetensors'
    weights(converted='made.safetensors')
    found = black_box.find_black_box(roomy=True)
    assert found['checkpoint'] == 'made.safetensors'


def test_vit_by_name(weights):
    name = black_box.NAMES['vit-b16']
    weights(hub=(name,))
    found = black_box.resolve_black_box('vit-b16', None)
    assert found['model_name'] == name
    weights()
    with pytest.raises(ValueError, match='nor is the model hub reached'):
        black_box.resolve_black_box('vit-b16', None)
    for name in ('test_vit2.none', 'vit_tiny_patch16_224.none'):
        with pytest.raises(ValueError, match=f"no weights of .*'{name}'"):
            black_box.resolve_black_box(name, None)


def test_vit_by_config(tmp_path, monkeypatch):
    (tmp_path / 'vit.pth').touch()
    monkeypatch.chdir(tmp_path)
    own = dict(type='lore_mm.TimmBlackBox', model_name='test_vit')
    wanted = dict(own, checkpoint=str(tmp_path / 'vit.pth'), size=[32, 32])
    for path in ('vit.pth', Path('vit.pth'), tmp_path / 'vit.pth'):
        given = dict(own, checkpoint=path, size=(32, 32))
        assert black_box.resolve_black_box(given, None) == wanted
    assert black_box.resolve_black_box(own, None) == own
    # A later call with the same arguments finds what the first one noted.
    first = settings.Settings(
        str(tmp_path), wanted, {}, 4, 32, 8, 1, False, seed=0
    )
    settings.write_state(tmp_path, first, 'started', 0.0)
    same = dict(black_box=black_box.resolve_black_box(given, None))
    assert settings.read_state(tmp_path, tmp_path, same)[0] == first
    with pytest.raises(FileNotFoundError, match='gone.pth. does not exist'):
        black_box.resolve_black_box(dict(own, checkpoint='gone.pth'), None)
    with pytest.raises(ValueError, match='black_box must hold numbers, .*Lin'):
        black_box.resolve_black_box(dict(own, norm=torch.nn.Linear), None)


@pytest.mark.parametrize(
    'name',
    [
        'vit_small_patch16_224.dino',
        'vit_base_patch32_clip_224.openai_ft_in1k',
        'vit-b16',
    ],
)
def test_weights_of_a_tag(name, tmp_path):
    full = black_box.NAMES.get(name, name)
    base = full.partition('.')[0]
    small = dict(depth=1, img_size=32, num_classes=3)
    model = timm.create_model(full, **small)
    path = tmp_path / 'vit.safetensors'
    save_file(model.state_dict(), path)
    found = black_box.resolve_black_box(name, path)
    assert found['model_name'] == full
    assert found['checkpoint'] == str(path)
    box = settings.build_black_box(dict(found, depth=1))
    wanted = timm.get_pretrained_cfg(full)
    assert box.mean == pytest.approx([255 * value for value in wanted.mean])
    assert box.std == pytest.approx([255 * value for value in wanted.std])
    assert not box.has_projection  # fine-tuned, though CLIP by its name
    assert box.out_dims == model.embed_dim
    found = black_box.resolve_black_box(base, path)
    assert found['model_name'] == base
    with pytest.raises(ValueError, match=f"no tag 'mine' of .*{base}.*'"):
        black_box.resolve_black_box(f'{base}.mine', path)


def test_hub_is_not_asked_when_offline(monkeypatch):
    monkeypatch.setattr(black_box.constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(
        black_box, 'try_to_load_from_cache', lambda *names: None
    )
    assert not black_box.hub_has(black_box.NAMES['vit-b16'])
    monkeypatch.setattr(
        black_box, 'try_to_load_from_cache', lambda *names: 'file'
    )
    assert black_box.hub_has(black_box.NAMES['vit-b16'])
    assert not black_box.hub_has('no_vit')


def test_no_vit_at_all(weights, monkeypatch):
    convert = black_box._convert
    weights()
    monkeypatch.setattr(black_box, '_convert', convert)
    monkeypatch.setattr(black_box, '_NEEDED', ('no_such_package',))
    with pytest.raises(ValueError, match='pip install no_such_package, or'):
        black_box.find_black_box(roomy=False)


def test_knowledge(monkeypatch):
    monkeypatch.setattr(settings, '_SENTENCE_NEEDS', ('json',))
    sentence = settings.choose_knowledge(None)
    assert sentence[0]['type'] == 'lore_mm.SentenceEncoder'
    assert settings.choose_knowledge('sentence') == sentence
    monkeypatch.setattr(settings, '_SENTENCE_NEEDS', ('no_such_package',))
    encoder, dims = settings.choose_knowledge(None)
    assert encoder['type'] == 'lore_mm.RandomTextEncoder'
    assert encoder['embed_dims'] == dims
    with pytest.raises(ValueError, match="or take 'random'"):
        settings.choose_knowledge('sentence')


def test_interval():
    # Brown, Cai and DasGupta, 2001: 8 of 10.
    assert interval(80.0, 10) == pytest.approx((49.0, 94.3), abs=0.05)
    low, high = interval(100.0, 2)
    assert low == pytest.approx(34.2, abs=0.05)
    assert high == pytest.approx(100)


def test_worst_mistakes_come_first():
    scores = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
    labels = torch.tensor([1, 0, 0, 1])
    found = Predictions(['a', 'b', 'c', 'd'], labels, scores)
    assert found.worst(8) == [0, 1]
    assert found.worst(1) == [0]
    assert found.closest(3) == [0, 1, 2]
    assert found.accuracy() == 50
    assert found.confusion().tolist() == [[1, 1], [1, 1]]


def test_curves_of_a_resumed_training(tmp_path):
    rows = {
        '20260101_000000': [
            dict(loss=3.0, epoch=1, step=2),
            {'accuracy/top1': 10.0, 'step': 1},
            dict(loss=2.0, epoch=2, step=4),
        ],
        '20260102_000000': [
            dict(loss=2.5, epoch=2, step=4),
            {'accuracy/top1': 20.0, 'step': 2},
        ],
    }
    for name, lines in rows.items():
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        text = ''.join(f'{json.dumps(line)}\n' for line in lines)
        (folder / 'scalars.json').write_text(text + '{"loss": 1.0, "ep')
    assert read_curves(tmp_path) == dict(
        loss=[(1.0, 3.0), (2.0, 2.5)], accuracy=[(1, 10.0), (2, 20.0)]
    )
    assert read_curves(tmp_path / 'none') == dict(loss=[], accuracy=[])


def test_best_checkpoint_on_a_full_disk(tmp_path):
    resource = pytest.importorskip('resource')
    target = tmp_path / 'checkpoint.pth'
    content = dict(state_dict=dict(weight=torch.zeros(10**6)), optimizer={})
    torch.save(content, tmp_path / 'best_epoch_1.pth')
    target.write_text('before')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, hard))
    try:
        with pytest.raises(
            CheckpointError, match=r'pth \(File too large\); t'
        ):
            keep_best(tmp_path, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_text() == 'before'
    assert len(list(tmp_path.iterdir())) == 2
    keep_best(tmp_path, target)
    assert set(torch.load(target, weights_only=True)) == {'state_dict'}
