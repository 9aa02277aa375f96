"""The shipped configs of correspondence, run by the tools as they are."""

import csv
import json
import os
import runpy
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from mmpretrain.registry import MODELS
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from lore_mm.datasets import CUBParts
from lore_mm.engine import check_config_keys

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
LEAVES = sorted(p.stem for p in (CONFIGS / 'correspondence').glob('*.py'))
TINY = [
    'model.backbone.black_box.pretrained=False',
    'model.backbone.black_box.embed_dim=32',
    'model.backbone.black_box.depth=2',
    'model.backbone.black_box.num_heads=2',
]


def test_all_are_here():
    assert LEAVES == [
        'clip-b16_spair71k',
        'vit-b_spair71k',
        'vit-s_cub-parts',
        'vit-s_pf-willow',
        'vit-s_spair71k',
    ]


@pytest.mark.parametrize('name', LEAVES)
def test_leaf_says_what_it_is_and_names_its_choices(name):
    path = CONFIGS / 'correspondence' / f'{name}.py'
    cfg = Config.fromfile(path)
    check_config_keys(cfg)
    command = f'python tools/test.py configs/correspondence/{name}.py'
    assert f'{command} CHECKPOINT' in path.read_text()
    assert f'{command} none' in path.read_text()
    assert cfg.model.readout == 'bilinear-argmax'
    assert cfg.model.mutual_radius == 1
    assert cfg.model.backbone.out_type == 'featmap'
    assert cfg.test_evaluator.alphas == (0.05, 0.1, 0.15)
    (resize,) = [s for s in cfg.test_pipeline if s.type == 'Resize']
    assert resize.keep_ratio is False
    assert resize.scale == (224, 224)


@pytest.mark.parametrize('name', LEAVES)
def test_leaf_builds_at_its_real_size(name):
    cfg = Config.fromfile(CONFIGS / 'correspondence' / f'{name}.py')
    box = cfg.model.backbone.black_box
    box.pop('checkpoint', None)
    side = timm.get_pretrained_cfg(box.model_name).input_size[-1]
    box.update(pretrained=False, img_size=side)
    cfg.model.data_preprocessor = cfg.data_preprocessor
    with (
        DefaultScope.overwrite_default_scope('mmpretrain'),
        torch.device('meta'),
    ):
        model = MODELS.build(cfg.model)
    black_box = model.backbone.black_box
    assert cfg.data_preprocessor.mean == pytest.approx(black_box.mean)
    assert cfg.data_preprocessor.std == pytest.approx(black_box.std)


def write_image(path: Path, size=(60, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    pixels = rng.integers(0, 255, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size).save(path)


def write_willow(root: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(3):
        write_image(root / f'car(S)/{i}.png')
        points = rng.uniform(0, 40, (2, 10))
        savemat(root / f'car(S)/{i}.mat', dict(pts_coord=points))


def write_cub(root: Path) -> None:
    rows = {name: [] for name in ('images', 'labels', 'split', 'box')}
    parts = []
    for i in range(1, 5):
        write_image(root / f'images/w/{i}.jpg')
        rows['images'].append(f'{i} w/{i}.jpg')
        rows['labels'].append(f'{i} 1')
        rows['split'].append(f'{i} {int(i == 1)}')
        rows['box'].append(f'{i} 5.0 5.0 30.0 20.0')
        parts += [f'{i} {p} {4 * p}.0 {3 * p + i}.0 1' for p in range(1, 8)]
    tables = {
        'images.txt': rows['images'],
        'image_class_labels.txt': rows['labels'],
        'train_test_split.txt': rows['split'],
        'bounding_boxes.txt': rows['box'],
        'parts/part_locs.txt': parts,
        'classes.txt': ['1 001.Wren'],
    }
    for name, lines in tables.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text('\n'.join(lines) + '\n')


def write_spair(root: Path) -> None:
    names = []
    for i, (source, target) in enumerate([('a', 'b'), ('b', 'c')]):
        for image in (source, target):
            write_image(root / f'JPEGImages/cat/{image}.jpg')
        names.append(f'{i:06d}-{source}-{target}:cat')
        content = dict(
            src_imname=f'{source}.jpg',
            trg_imname=f'{target}.jpg',
            src_imsize=[60, 40, 3],
            trg_imsize=[60, 40, 3],
            trg_bndbox=[5, 5, 50, 30],
            src_kps=[[6, 7], [60, 40]],
            trg_kps=[[9, 9], [30, 30]],
            category='cat',
        )
        path = root / f'PairAnnotation/test/{names[-1]}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    (root / 'Layout/large').mkdir(parents=True)
    (root / 'Layout/large/test.txt').write_text('\n'.join(names))


@pytest.fixture(scope='session')
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp('pairs')
    write_willow(root / 'willow')
    write_cub(root / 'cub')
    write_spair(root / 'spair')
    return {
        'PF_WILLOW_ROOT': str(root / 'willow'),
        'CUB_ROOT': str(root / 'cub'),
        'SPAIR_ROOT': str(root / 'spair'),
        'LORE_CACHE': str(root / 'cache'),
    }


@pytest.fixture
def test_tool(sets, monkeypatch, tmp_path):
    """Run tools/test.py on a shrunk leaf; returns its metrics."""

    def call(name, checkpoint, *options):
        for key, value in sets.items():
            monkeypatch.setenv(key, value)
        side = 56 if 'vit-s' in name else 64
        monkeypatch.setenv('LORE_IMG_SIZE', str(side))
        path = CONFIGS / 'correspondence' / f'{name}.py'
        out = tmp_path / 'metrics.json'
        tiny = [*TINY, f'model.backbone.black_box.img_size={side}']
        if 'vit-s' in name:
            tiny.append('model.backbone.black_box.checkpoint=None')
        args = [path, checkpoint, '--work-dir', tmp_path / 'work']
        args += ['--out', out, '--cfg-options', *tiny, *options]
        monkeypatch.setattr(sys, 'argv', ['test.py', *map(str, args)])
        monkeypatch.setenv('LOCAL_RANK', '0')
        for kind in (MMLogger, MessageHub, DefaultScope, Visualizer):
            kind._instance_dict.clear()
        for kind in Visualizer.__subclasses__():
            kind._instance_dict.clear()
        runpy.run_path(str(ROOT / 'tools/test.py'), run_name='__main__')
        return json.loads(out.read_text())

    yield call
    DefaultScope._instance_dict.clear()


@pytest.mark.parametrize('name', LEAVES)
def test_leaf_runs_without_a_checkpoint(test_tool, name):
    metrics = test_tool(name, 'none', 'model.backbone.white_box=None')
    for row in ('', 'mutual/', 'identity/', 'oracle/'):
        for average in ('image', 'point', 'category'):
            value = metrics[f'{row}PCK@0.1/{average}']
            assert np.isnan(value) or 0 <= value <= 100
    assert 0 <= metrics['mutual/share'] <= 100
    assert metrics['oracle/PCK@0.15/image'] > 0


def test_a_random_white_box_is_refused(test_tool):
    with pytest.raises(SystemExit, match='the White Box is not trained'):
        test_tool('vit-s_pf-willow', 'none')


def test_choices_by_options(test_tool):
    bare = 'model.backbone.white_box=None'
    seed = 'randomness.seed=0'
    found = {
        option: test_tool('vit-s_cub-parts', 'none', bare, seed, option)
        for option in (
            'model.readout=patch-centre',
            'model.readout=bilinear-cosine',
            'model.layer=1',
            'test_evaluator.classwise=True',
        )
    }
    last = found['test_evaluator.classwise=True']
    assert last['PCK@0.1/point/001.Wren'] == last['PCK@0.1/point']
    assert len({str(each) for each in found.values()}) == 4
    with pytest.raises(SystemExit, match=r'layer must be in \[1, 2\], got 3'):
        test_tool('vit-s_cub-parts', 'none', bare, 'model.layer=3')


def test_two_processes_equal_one(test_tool, sets, tmp_path):
    """Five pairs on two processes: the last shard is padded."""
    data = CUBParts(sets['CUB_ROOT'])
    path = tmp_path / 'pairs.csv'
    with path.open('w') as file:
        writer = csv.writer(file)
        writer.writerow(['source_image_id', 'target_image_id'])
        for i in range(5):
            pair = data[i]
            writer.writerow(
                [Path(pair[s].path).stem for s in ('source', 'target')]
            )
    weights = tmp_path / 'bare.safetensors'
    vit = timm.create_model(
        'vit_small_patch14_dinov2',
        num_classes=0,
        img_size=56,
        embed_dim=32,
        depth=2,
        num_heads=2,
    )
    save_file(vit.state_dict(), weights)
    options = [
        'model.backbone.white_box=None',
        f'model.backbone.black_box.checkpoint={weights}',
        f'test_dataloader.dataset.pairs_file={path}',
        'test_dataloader.batch_size=2',
    ]
    one = test_tool('vit-s_cub-parts', 'none', *options)
    out = tmp_path / 'two.json'
    command = ['bash', ROOT / 'tools/dist_test.sh']
    command += [CONFIGS / 'correspondence/vit-s_cub-parts.py', 'none', 2]
    command += ['--work-dir', tmp_path / 'two', '--out', out]
    command += ['--cfg-options', *TINY, *options]
    command += ['model.backbone.black_box.img_size=56']
    done = subprocess.run(
        list(map(str, command)),
        env=dict(
            os.environ,
            PYTHON=sys.executable,
            OMP_NUM_THREADS='1',
        ),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text()) == one
