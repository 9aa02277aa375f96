"""Configs of video object segmentation: conventions, rows, processes."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from PIL import Image
from safetensors.torch import save_file

from lore_mm.datasets.davis_masks import load_mask, save_mask
from lore_mm.engine import check_config_keys
from lore_mm.engine.trained_weights import black_box_facts, drop_frozen
from lore_mm.models.segmentors import frame_size
from lore_mm.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
LEAVES = sorted(path.stem for path in (ROOT / 'configs/vos').glob('*.py'))
BARE = 'model.backbone.white_box=None'
SIZE = (56, 98)


@pytest.fixture(scope='session')
def davis(tmp_path_factory):
    """Three videos of a bright square that moves over a dark ground."""
    root = tmp_path_factory.mktemp('davis')
    for name, step in (('ape', 1), ('bee', 2), ('cat', 3)):
        folder = root / 'JPEGImages/480p' / name
        folder.mkdir(parents=True)
        for index in range(4):
            mask = np.zeros(SIZE, dtype=np.uint8)
            mask[14:42, 14 + step * index :][:, :28] = 1
            img = np.where(mask[..., None] > 0, (250, 200, 40), 30)
            img = Image.fromarray(img.astype(np.uint8))
            img.save(folder / f'{index:05d}.jpg')
            save_mask(
                root / 'Annotations/480p' / name / f'{index:05d}.png', mask
            )
    (root / 'ImageSets/2017').mkdir(parents=True)
    (root / 'ImageSets/2017/val.txt').write_text('ape\nbee\ncat\n')
    return root


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Options that make a leaf of ViT-S/14 small, with fixed weights."""
    weights = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    torch.manual_seed(0)
    sizes = dict(img_size=56, embed_dim=32, depth=2, num_heads=2)
    vit = timm.create_model('vit_small_patch14_dinov2', num_classes=0, **sizes)
    save_file(vit.state_dict(), weights)
    box = 'model.backbone.black_box'
    options = [f'{box}.{key}={value}' for key, value in sizes.items()]
    return [*options, f'{box}.checkpoint={weights}']


@pytest.fixture
def test_tool(davis, tiny, monkeypatch, tmp_path):
    """Run tools/test.py on a shrunk leaf; returns its metrics."""

    def call(name, checkpoint, *options):
        monkeypatch.setenv('DAVIS_ROOT', str(davis))
        monkeypatch.setenv('LOCAL_RANK', '0')
        out = tmp_path / 'metrics.json'
        args = [ROOT / f'configs/vos/{name}.py', checkpoint, '--out', out]
        args += ['--work-dir', tmp_path / 'work', '--cfg-options', *tiny]
        args += ['data_preprocessor.short_side=56', *options]
        monkeypatch.setattr(sys, 'argv', ['test.py', *map(str, args)])
        for kind in (MMLogger, MessageHub, DefaultScope, Visualizer):
            kind._instance_dict.clear()
        for kind in Visualizer.__subclasses__():
            kind._instance_dict.clear()
        runpy.run_path(str(ROOT / 'tools/test.py'), run_name='__main__')
        return json.loads(out.read_text())

    yield call
    DefaultScope._instance_dict.clear()


@pytest.mark.parametrize('name', LEAVES)
def test_leaf(name):
    cfg = Config.fromfile(ROOT / f'configs/vos/{name}.py')
    check_config_keys(cfg)
    text = (ROOT / f'configs/vos/{name}.py').read_text()
    assert f'python tools/test.py configs/vos/{name}.py CHECKPOINT' in text
    assert cfg.default_scope == 'mmseg'
    model = cfg.model
    model.data_preprocessor = cfg.data_preprocessor
    box = model.backbone.black_box
    box.pop('checkpoint', None)
    box.pretrained = False
    with (
        DefaultScope.overwrite_default_scope('mmseg'),
        torch.device('meta'),
    ):
        built = MODELS.build(model)
    sizing = built.data_preprocessor.sizing
    patch_size = built.backbone.black_box.patch_size
    for size in ((480, 854), (854, 480), (480, 480), (1080, 1920)):
        assert all(n % patch_size == 0 for n in frame_size(size, *sizing))


# What each convention says, key by key.
CONVENTIONS = {
    'vit-s_davis2017': dict(
        context=7,
        window=12,
        window_shape='square',
        window_first=True,
        top_k=5,
        temperature=0.1,
        enlarge='patch_bilinear',
        shrink='nearest',
    ),
    'vit-s_davis2017_crw': dict(
        context=20,
        window_shape='circle',
        window_first=False,
        top_k=10,
        temperature=0.05,
        pad_context=True,
        min_max=False,
    ),
    'vit-s_davis2017_dinov3': dict(
        context=7,
        window=12,
        window_shape='circle',
        top_k=5,
        temperature=0.2,
        enlarge='nearest',
    ),
}


@pytest.mark.parametrize('name', CONVENTIONS)
def test_conventions(name):
    cfg = Config.fromfile(ROOT / f'configs/vos/{name}.py')
    named = cfg.model.propagation
    expected = CONVENTIONS[name]
    assert {key: named[key] for key in expected} == expected
    red = 0.228 if name == 'vit-s_davis2017' else 0.229
    assert cfg.data_preprocessor.std[0] == pytest.approx(255 * red)


def test_dinos_sizes_for_a_patch_of_16():
    cfg = Config.fromfile(ROOT / 'configs/vos/clip-b16_davis2017.py')
    values = cfg.data_preprocessor
    assert values.mean == pytest.approx([122.7709, 116.7460, 104.0937], 1e-5)
    names = ('short_side', 'multiple', 'rounding', 'round_short')
    assert [values[n] for n in names] == [480, 64, 'floor', False]


@pytest.mark.parametrize('name', CONVENTIONS)
def test_every_convention_runs(test_tool, name):
    found = test_tool(name, 'none', BARE)
    assert set(found) >= {'J&F-Mean', 'J-Decay', 'F-Recall'}
    assert 0.2 < found['J-Mean'] <= 1


def test_masks_and_tables_are_written(test_tool, tmp_path):
    out = tmp_path / 'masks'
    test_tool(
        'vit-s_davis2017',
        'none',
        BARE,
        f'test_evaluator.out_dir={out}',
        "test_dataloader.dataset.sequences=['bee']",
    )
    assert len(list((out / 'bee').glob('*.png'))) == 4
    assert load_mask(out / 'bee/00003.png').shape == SIZE
    assert 'bee_1' in (out / 'per-sequence_results.csv').read_text()
    assert not (out / 'ape').exists()


def test_white_box_without_a_checkpoint(test_tool):
    with pytest.raises(SystemExit, match='the White Box is not trained'):
        test_tool('vit-s_davis2017', 'none')


def test_checkpoint_of_a_classifier(test_tool, tiny, tmp_path):
    """Its backbone is loaded; the head and the neck are left out."""
    cfg = Config.fromfile(ROOT / 'configs/vos/vit-s_davis2017.py')
    options = dict(each.split('=') for each in tiny)
    cfg.merge_from_dict(
        {k: int(v) if v.isdigit() else v for k, v in options.items()}
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build(cfg.model.backbone)
    model = torch.nn.Module()
    model.backbone, model.head = backbone, torch.nn.Linear(32, 3)
    path = tmp_path / 'trained.pth'
    meta = dict(black_box=black_box_facts(model))
    torch.save(
        dict(state_dict=drop_frozen(model.state_dict(), model), meta=meta),
        path,
    )
    found = test_tool('vit-s_davis2017', path)
    assert 0 <= found['J&F-Mean'] <= 1


def test_bad_data_is_one_line(test_tool, davis):
    with pytest.raises(SystemExit, match='error: .*DAVIS folder .* not exist'):
        test_tool(
            'vit-s_davis2017',
            'none',
            BARE,
            'test_dataloader.dataset.data_root=nowhere',
        )


def test_two_processes_equal_one(test_tool, davis, tiny, tmp_path):
    """Three videos on two processes: the last shard is padded."""
    one = test_tool('vit-s_davis2017', 'none', BARE)
    out = tmp_path / 'two.json'
    command = ['bash', ROOT / 'tools/dist_test.sh']
    command += [ROOT / 'configs/vos/vit-s_davis2017.py', 'none', 2]
    command += ['--work-dir', tmp_path / 'two', '--out', out]
    command += ['--cfg-options', *tiny, BARE]
    command += ['data_preprocessor.short_side=56']
    command += [f'test_evaluator.out_dir={tmp_path / "masks"}']
    done = subprocess.run(
        list(map(str, command)),
        env=dict(
            os.environ,
            PYTHON=sys.executable,
            OMP_NUM_THREADS='1',
            DAVIS_ROOT=str(davis),
        ),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text()) == one
    assert len(list((tmp_path / 'masks').glob('*/*.png'))) == 12
