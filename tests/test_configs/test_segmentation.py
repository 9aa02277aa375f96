"""Segmentation by training: configs, a falling loss, a test."""

import ast
import uuid
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS, DefaultScope
from mmseg.datasets import ADE20KDataset
from PIL import Image

from lore_mm.datasets.davis_masks import load_mask
from lore_mm.engine import check_config_keys
from lore_mm.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'configs/segmentation'
LEAVES = sorted(path.stem for path in FOLDER.glob('*.py'))
CLASSES = dict(folder=2, ade20k=150)
TEXT_DIMS = 16


def short(number: int) -> str:
    return f'{number / 1e6:.3g} M'


@pytest.mark.parametrize('name', LEAVES)
def test_leaf(name):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    check_config_keys(cfg)
    assert cfg.default_scope == 'mmseg'
    model, number = cfg.model, CLASSES[name.rsplit('_', 1)[1]]
    model.data_preprocessor = cfg.data_preprocessor
    for part in (model.neck, model.decode_head):
        assert part.num_classes is None
        part.num_classes = number
    box = model.backbone.black_box
    box.pop('checkpoint', None)
    side = timm.get_pretrained_cfg(box.model_name).input_size[-1]
    box.update(pretrained=False, img_size=side)
    with (
        DefaultScope.overwrite_default_scope('mmseg'),
        torch.device('meta'),
    ):
        built = MODELS.build(model)
    patch_size = built.backbone.black_box.patch_size
    assert cfg.crop_size % patch_size == 0
    assert cfg.data_preprocessor.test_cfg.size_divisor == patch_size
    sizes = [(p.numel(), p.requires_grad) for p in built.parameters()]
    total = sum(n for n, _ in sizes)
    trained = sum(n for n, trains in sizes if trains)
    text = (FOLDER / f'{name}.py').read_text()
    said = ' '.join(ast.get_docstring(ast.parse(text)).split())
    cost = f'trains {short(trained)} of {short(total)} weights'
    assert f'{cost} ({number} classes)' in said
    assert f'python tools/train.py configs/segmentation/{name}.py' in said


def test_ade20k_in_mmsegs_layout(monkeypatch, tmp_path):
    for split in ('training', 'validation'):
        for kind, suffix in (('images', 'jpg'), ('annotations', 'png')):
            path = tmp_path / kind / split / f'x.{suffix}'
            path.parent.mkdir(parents=True)
            Image.fromarray(np.full((60, 80), 7, np.uint8)).save(path)
    monkeypatch.setenv('ADE_ROOT', str(tmp_path))
    monkeypatch.setenv('LORE_IMG_SIZE', '56')
    cfg = Config.fromfile(FOLDER / 'vit-s_ade20k.py')
    for name in ('train', 'test'):
        settings = dict(cfg[f'{name}_dataloader'].dataset)
        settings.pop('type')
        with DefaultScope.overwrite_default_scope('mmseg'):
            sample = ADE20KDataset(**settings)[0]
        labels = sample['data_samples'].gt_sem_seg.data.unique().tolist()
        assert labels == [6]  # 0 is no class
    assert cfg.val_cfg is cfg.get('val_dataloader') is None


@pytest.fixture(scope='session')
def two_sequences(real_data, tmp_path_factory):
    """Masks of two videos of DAVIS as a folder of three classes."""
    root = tmp_path_factory.mktemp('masks')
    numbers = dict(
        train=range(0, 40, 5), val=range(42, 44), test=range(46, 48)
    )
    davis = real_data / 'DAVIS'
    for label, name in enumerate(('blackswan', 'dog'), 1):
        for split, indices in numbers.items():
            for kind in ('images', 'annotations'):
                (root / kind / split).mkdir(parents=True, exist_ok=True)
            for index in indices:
                stem = f'{name}_{index}'
                source = f'480p/{name}/{index:05d}'
                img = Image.open(davis / f'JPEGImages/{source}.jpg')
                img = img.resize((214, 120))
                img.save(root / f'images/{split}/{stem}.jpg')
                mask = load_mask(davis / f'Annotations/{source}.png') * label
                mask = Image.fromarray(mask).resize((214, 120), 0)
                mask.save(root / f'annotations/{split}/{stem}.png')
    (root / 'classes.txt').write_text('background\nswan\ndog\n')
    return root


@pytest.fixture
def make_runner(two_sequences, monkeypatch, tmp_path):
    """The shipped leaf with a ViT that is small."""

    def make(**options):
        monkeypatch.setenv('SEG_ROOT', str(two_sequences))
        monkeypatch.setenv('LORE_IMG_SIZE', '112')
        cfg = Config.fromfile(FOLDER / 'vit-s_folder.py')
        box = cfg.model.backbone.black_box
        box.pop('checkpoint')
        box.update(img_size=112, embed_dim=48, depth=3, num_heads=3)
        cfg.model.neck.update(
            embed_dims=48,
            text_dims=TEXT_DIMS,
            knowledge=dict(
                type='lore_mm.RandomTextEncoder', embed_dims=TEXT_DIMS
            ),
        )
        cfg.model.decode_head.in_channels = 48
        for name in ('train', 'val', 'test'):
            cfg[f'{name}_dataloader'].num_workers = 0
        cfg.train_dataloader.batch_size = 4
        cfg.train_cfg.max_epochs = 12  # of 4 steps: 48
        cfg.train_cfg.val_interval = 12
        cfg.default_hooks.logger.interval = 1
        cfg.work_dir = str(tmp_path / 'work')
        cfg.experiment_name = uuid.uuid4().hex
        cfg.merge_from_dict(options)
        return RUNNERS.build(cfg)

    monkeypatch.setattr(
        'yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True)
    )
    yield make
    DefaultScope._instance_dict.clear()


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'model.constraint': None, 'model.neck': None},
    ],
    ids=['constraint', 'without'],
)
def test_loss_falls_within_50_steps(make_runner, options):
    runner = make_runner(**options)
    runner.train()
    scalars = runner.message_hub.log_scalars
    losses = scalars['train/decode.loss_ce'].data[0]
    assert len(losses) == 48
    assert np.mean(losses[-8:]) < 0.6 * np.mean(losses[:4])
    assert ('train/loss_kp' in scalars) == (not options)
    assert runner.model.num_classes == 3
    metrics = runner.test()
    assert 20 < metrics['mIoU'] <= 100
    work = Path(runner.work_dir)
    assert list(work.glob('best_mIoU*.pth'))
    assert (work / 'splits.json').is_file()


def test_bare_black_box_trains_the_head_alone(make_runner):
    runner = make_runner(
        **{'model.backbone.white_box': None, 'train_cfg.max_epochs': 1}
    )
    runner.train()
    trained = {
        name.split('.')[0]
        for name, p in runner.model.named_parameters()
        if p.requires_grad
    }
    assert trained == {'decode_head', 'neck'}
    assert 'train/loss_kp' not in runner.message_hub.log_scalars


def test_white_box_of_a_classifier_is_taken_over(make_runner, tmp_path):
    first = make_runner(**{'train_cfg.max_epochs': 1})
    first.train()
    path = first.message_hub.get_info('last_ckpt')
    content = torch.load(path, weights_only=True)
    content['meta']['classes'] = ['one', 'two']  # another task
    torch.save(content, tmp_path / 'other.pth')
    kept = first.model.backbone.white_box.state_dict()
    runner = make_runner(load_from=str(tmp_path / 'other.pth'))
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.load_or_resume()
    found = runner.model.backbone.white_box.state_dict()
    assert all(value.equal(kept[key]) for key, value in found.items())
