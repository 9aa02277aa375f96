"""Configs of retrieval: conventions, cache, processes, training."""

import ast
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS, DefaultScope
from PIL import Image

from lore_mm.engine import (
    ConfigError,
    check_config_keys,
    latest_checkpoint,
)
from lore_mm.models import LOREViT
from lore_mm.models.retrievers import learn_whitening, save_whitening
from lore_mm.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
LEAVES = sorted(path.stem for path in (CONFIGS / 'retrieval').glob('*.py'))
TESTS = [name for name in LEAVES if 'arcface' not in name]
BARE = {'model.backbone.white_box': None}
SHARED = {
    'ROXFORD5K_ROOT': 'gnd_roxford5k.pkl',
    'RPARIS6K_ROOT': 'gnd_rparis6k.pkl',
    'SCENES_ROOT': 'gnd_scenes_homemade.pkl',
    'GROCERY_ROOT': 'gnd_grocery.json',
    'RETRIEVAL_ROOT': 'gnd.json',
}
COLOURS = [(220, 60, 60), (60, 200, 60), (60, 60, 220)]


def draw(path, colour, size, rng):
    pixels = rng.integers(-50, 50, (size[1], size[0], 3)) + np.array(colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=95)


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    """Three scenes by colour: two queries and four images of each."""
    root = tmp_path_factory.mktemp('scenes')
    rng = np.random.default_rng(0)
    queries, images = [], []
    for label, colour in enumerate(COLOURS):
        for i in range(6):
            name = f's{label}_{i}'
            size = [(80, 60), (60, 80), (72, 72)][i % 3]
            for folder in ('jpg', 'dataset'):
                draw(root / folder / f'{name}.jpg', colour, size, rng)
            (queries if i < 2 else images).append(name)
    for folder in ('jpg', 'dataset'):
        draw(root / folder / 'other.jpg', (128, 128, 128), (80, 60), rng)
    images.append('other')
    gnd = []
    for name in queries:
        same = [i for i, n in enumerate(images) if n[:2] == name[:2]]
        gnd.append(
            dict(bbx=[4, 4, 50, 50], easy=same[:2], hard=same[2:], junk=[])
        )
    text = json.dumps(dict(gnd=gnd, imlist=images, qimlist=queries))
    for name in SHARED.values():
        (root / name).write_text(text)  # JSON is read by any name
    return root


def shrink(cfg):
    """The same architecture, two blocks deep, without weights."""
    box = cfg.model.backbone.black_box
    box.pop('checkpoint', None)
    box.update(pretrained=False, embed_dim=32, depth=2, num_heads=2)
    if 'patch14' in box.model_name:
        box.update(img_size=56, init_values=1.0)  # blocks that count
    else:
        box.update(img_size=64)
    if 'test_dataloader' in cfg:
        cfg.test_dataloader.update(num_workers=0, batch_size=4)
    return cfg


@pytest.fixture
def make(scenes, monkeypatch, tmp_path):
    """``make('vit-s_scenes', **options)``: a small version of a config."""
    monkeypatch.setattr(
        'yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True)
    )
    for key in SHARED:
        monkeypatch.setenv(key, str(scenes))

    def build(name, **options):
        cfg = shrink(Config.fromfile(CONFIGS / f'retrieval/{name}.py'))
        cfg.work_dir = str(tmp_path / 'work')
        cfg.experiment_name = uuid.uuid4().hex
        if 'cache_dir' in cfg.test_cfg:
            cfg.test_cfg.cache_dir = str(tmp_path / 'cache')
        cfg.merge_from_dict(options)
        return cfg

    yield build
    DefaultScope._instance_dict.clear()


def score(cfg):
    torch.manual_seed(0)  # weights of the Black Box
    cfg.experiment_name = uuid.uuid4().hex
    cfg.randomness = dict(seed=0)
    return RUNNERS.build(cfg).test()


def test_all_are_here():
    boxes = {'clip-b16', 'vit-b', 'vit-s'}
    wanted = {f'{b}_{s}' for b in boxes for s in ('roxford5k', 'rparis6k')}
    assert wanted | {'vit-s_scenes', 'vit-s_folder'} <= set(LEAVES)


@pytest.mark.parametrize('name', LEAVES)
def test_docstring_names_the_command(name):
    text = (CONFIGS / f'retrieval/{name}.py').read_text()
    said = ast.get_docstring(ast.parse(text))
    tool = 'train' if 'arcface' in name else 'test'
    assert f'python tools/{tool}.py configs/retrieval/{name}.py' in said
    assert 'Cost: ' in said


@pytest.mark.parametrize('name', TESTS)
def test_leaf_names_its_choices_and_runs(make, name):
    cfg = make(name, **BARE)
    check_config_keys(cfg)
    dataset = cfg.test_dataloader.dataset
    revisitop = name.endswith('_revisitop')
    assert dataset.convention == ('revisitop' if revisitop else 'dino')
    paris = 'rparis6k' in name
    side = 1024 if revisitop else 512 if paris else 224
    assert dataset.long_side == side
    assert len(cfg.model.scales) == (3 if paris or revisitop else 1)
    assert cfg.model.normalize_scales == revisitop
    assert cfg.model.head == dict(
        type='lore_mm.RetrievalHead', pooling='cls', whitening=None
    )
    assert cfg.model.fit == 'crop'
    metrics = score(cfg)
    assert 0 < metrics['mAP/medium'] <= 100
    box = MODELS.build(dict(cfg.model.backbone)).black_box
    assert cfg.data_preprocessor.mean == pytest.approx(box.mean)
    assert cfg.data_preprocessor.std == pytest.approx(box.std)


# -- cache -----------------------------------------------------------------
@pytest.fixture
def forwards(monkeypatch):
    """Counts the forward passes of the backbone."""
    seen = []
    forward = LOREViT.forward

    def spy(self, img):
        seen.append(len(img))
        return forward(self, img)

    monkeypatch.setattr(LOREViT, 'forward', spy)
    return seen


def test_descriptors_are_used_again(make, forwards, tmp_path):
    first = score(make('vit-s_scenes', **BARE))
    assert sum(forwards) == 19
    forwards.clear()
    assert score(make('vit-s_scenes', **BARE)) == first
    assert not forwards
    memory = {'test_cfg.cache_dir': None}
    assert score(make('vit-s_scenes', **BARE, **memory)) == first
    assert sum(forwards) == 19
    (file,) = (tmp_path / 'cache').iterdir()
    assert np.load(file).shape == (19, 32)


@pytest.mark.parametrize(
    'option',
    [
        {'model.scales': (1.0, 0.5)},
        {'model.fit': 'resize'},
        {'model.head.pooling': 'gem'},
        {'test_dataloader.dataset.long_side': 70},
        {'test_dataloader.dataset.convention': 'revisitop'},
        {'data_preprocessor.mean': [0.0] * 3},
        {'test_cfg.descriptor_dtype': 'float16'},
        {'test_cfg.fp16': True},
    ],
)
def test_other_choices_are_described_anew(make, forwards, tmp_path, option):
    score(make('vit-s_scenes', **BARE))
    forwards.clear()
    metrics = score(make('vit-s_scenes', **BARE, **option))
    assert forwards
    assert len(list((tmp_path / 'cache').iterdir())) == 2
    assert 0 < metrics['mAP/medium'] <= 100


def test_whitening_of_another_set(make, forwards, tmp_path):
    others = np.random.default_rng(0).normal(size=(100, 32))
    path = tmp_path / 'whitening.npz'
    save_whitening(learn_whitening(others, dims=8), path)
    score(make('vit-s_scenes', **BARE))
    (first,) = (tmp_path / 'cache').iterdir()
    forwards.clear()
    option = {'model.head.whitening': str(path)}
    assert score(make('vit-s_scenes', **BARE, **option))['mAP/medium'] > 0
    assert forwards  # not the descriptors of before
    (second,) = {*(tmp_path / 'cache').iterdir()} - {first}
    with np.load(path) as learnt:
        expected = (np.load(first) - learnt['mean']) @ learnt['projection']
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert expected.shape == (19, 8)
    np.testing.assert_allclose(np.load(second), expected, atol=1e-5)


PROCESS = """
import json, sys
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS

import lore_mm

for path in sys.argv[1:]:
    metrics = RUNNERS.build(Config.fromfile(path)).test()
    if is_main_process():
        with open(f'{path}.json', 'w') as file:
            json.dump(metrics, file)
"""


def test_two_processes_equal_one(make, tmp_path):
    """In memory and in a file; 19 images, so that one is described twice."""
    script, paths = tmp_path / 'script.py', []
    script.write_text(PROCESS)
    for cache in (None, str(tmp_path / 'shared')):
        cfg = make('vit-s_scenes', **BARE, **{'test_cfg.cache_dir': cache})
        cfg.merge_from_dict(dict(launcher='pytorch', randomness=dict(seed=0)))
        lines = [f'{key} = {value!r}' for key, value in cfg.to_dict().items()]
        paths.append(tmp_path / f'cfg{len(paths)}.py')
        paths[-1].write_text('\n'.join(lines))
    command = '-m torch.distributed.run --standalone --nproc_per_node 2'
    result = subprocess.run(
        [sys.executable, *command.split(), str(script), *map(str, paths)],
        cwd=tmp_path,
        env=dict(
            os.environ,
            OMP_NUM_THREADS='1',
            PYTHONPATH=os.pathsep.join([str(CONFIGS.parent), *sys.path]),
        ),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    one = score(make('vit-s_scenes', **BARE))
    for path in paths:
        two = json.loads(Path(f'{path}.json').read_text())
        assert two == pytest.approx(one, abs=1e-6)


# -- LORE and training -------------------------------------------------------
def test_untrained_white_box_is_refused(make):
    with pytest.raises(ConfigError, match='White Box is not trained'):
        score(make('vit-s_scenes'))


@pytest.fixture
def grocery(scenes, tmp_path, monkeypatch):
    """The same scenes as labelled classes for training."""
    root = tmp_path / 'grocery'
    rng = np.random.default_rng(5)
    lines = {'train': [], 'val': [], 'test': []}
    for label, colour in enumerate(COLOURS):
        for split, count in dict(train=12, val=2, test=2).items():
            for i in range(count):
                name = f'{split}/{label}_{i}.jpg'
                draw(root / 'dataset' / name, colour, (64, 64), rng)
                lines[split].append(f'{name}, {label}, 0\n')
    for split, rows in lines.items():
        (root / 'dataset' / f'{split}.txt').write_text(''.join(rows))
    header = (
        'Class Name (str),Class ID (int),Coarse Class Name (str),'
        'Coarse Class ID (int)\n'
    )
    rows = ''.join(f'class-{i},{i},all,0\n' for i in range(3))
    (root / 'dataset' / 'classes.csv').write_text(header + rows)
    return root


def test_arcface_trains_and_its_checkpoint_retrieves(
    make, scenes, grocery, monkeypatch
):
    name = 'arcface_vit-s_grocery'
    monkeypatch.setenv('LORE_IMG_SIZE', '56')
    monkeypatch.setenv('GROCERY_ROOT', str(grocery))
    cfg = make(name)
    cfg.model.head.in_channels = 32
    cfg.randomness = dict(seed=0)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, batch_size=12)
    cfg.train_cfg.max_epochs = 8
    cfg.default_hooks.logger.interval = 1
    torch.manual_seed(0)
    runner = RUNNERS.build(cfg)
    assert type(runner.model.head).__name__ == 'ArcFaceClsHead'
    runner.train()
    losses = [v for v, _ in _history(runner, 'train/loss')]
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])

    monkeypatch.setenv('GROCERY_ROOT', str(scenes))
    test = make('vit-s_grocery')
    test.load_from = str(latest_checkpoint(runner.work_dir))
    _same_black_box(monkeypatch, runner.model)
    tester = RUNNERS.build(test)
    assert tester.test()['mAP/medium'] > 90
    trained = runner.model.backbone.white_box.state_dict()
    for key, value in tester.model.backbone.white_box.state_dict().items():
        assert value.equal(trained[key]), key


def _history(runner, key):
    values, counts = runner.message_hub.get_scalar(key).data
    return list(zip(values, counts, strict=True))


def _same_black_box(monkeypatch, model):
    """Random weights of the trained model, for the next one too."""
    state = model.backbone.black_box.state_dict()
    init = LOREViT.__init__

    def same(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.black_box.load_state_dict(state)

    monkeypatch.setattr(LOREViT, '__init__', same)
