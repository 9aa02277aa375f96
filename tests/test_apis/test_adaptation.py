"""adapt: a folder of images from one end to the other."""

import csv
import json
import os
import re
import shutil

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

from lore_mm.apis import adapt, init_model
from lore_mm.apis.adaptation import run
from lore_mm.apis.adaptation.config import read_config
from lore_mm.engine.launch import build_runner

from .conftest import SMALL, times

pytestmark = pytest.mark.usefixtures('own_scope')


@pytest.fixture(scope='module')
def finished(tmp_path_factory, weights):
    """A folder with some files that are no images, and its adaptation."""
    root = tmp_path_factory.mktemp('finished')
    folder = root / 'images'
    for label, name in enumerate(('class_0', 'class_1', 'a<b>&"c')):
        (folder / name).mkdir(parents=True)
        for i in range(10):
            noise = np.random.default_rng((label, i)).integers(0, 60, (40, 40))
            colour = np.eye(3)[label] * 180
            pixels = (noise[..., None] + colour).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f'{i}.png')
    (folder / 'class_0' / 'notes.txt').write_text('no image')
    frames = [Image.new('RGB', (40, 40), c) for c in ('red', 'blue')]
    frames[0].save(
        folder / 'class_1' / 'moving.gif',
        save_all=True,
        append_images=frames[1:],
    )
    options = dict(SMALL, checkpoint=weights, epochs=1)
    return folder, adapt(folder, root / 'out', **options)


def test_all_that_is_written(finished):
    _, result = finished
    out = result.out
    assert result.classes == ('a<b>&"c', 'class 0', 'class 1')
    metrics = json.loads((out / 'metrics.json').read_text())
    assert metrics == result.metrics
    assert metrics['test_images'] == 3 * 2
    recall = metrics['single-label/recall_classwise']
    assert list(recall) == list(result.classes)
    assert np.mean(list(recall.values())) == pytest.approx(
        metrics['accuracy/top1']
    )
    low, high = metrics['accuracy/top1_95%']
    assert low <= metrics['accuracy/top1'] <= high
    # Colours can be told apart by the bare ViT.
    assert metrics['linear_probe/accuracy/top1'] > 50
    splits = json.loads((out / 'splits.json').read_text())
    assert [len(splits[part]) for part in ('train', 'val', 'test')] == [
        21,
        3,
        6,
    ]
    rows = list(csv.reader((out / 'predictions.csv').open()))[1:]
    assert [row[0] for row in rows] == splits['test']
    right = [row[1] == row[2] for row in rows]
    assert 100 * np.mean(right) == pytest.approx(metrics['accuracy/top1'])
    table = list(csv.reader((out / 'confusion_matrix.csv').open()))[1:]
    counts = np.array([row[1:] for row in table], int)
    assert counts.sum() == 6
    assert np.trace(counts) == sum(right)
    for name in ('training_loss', 'validation_accuracy', 'confusion_matrix'):
        Image.open(out / f'{name}.png').verify()
    assert list((out / 'mistakes').glob('01_*.jpg'))
    assert not [p for p in out.rglob('*') if p.suffix in ('.tmp', '.part')]

    page = result.report.read_text('utf-8')
    assert 'a&lt;b&gt;&amp;' in page
    assert '<b>&"c' not in page
    assert f'{metrics["accuracy/top1"]:.1f} %' in page
    assert 'class_0/notes.txt' in page
    assert 'class_1/moving.gif' in page
    assert 'random vectors' in page
    # Nothing is asked for: no address, no script, all pictures inside.
    assert not re.search(r'https?://|<script|<link|@import', page)
    sources = re.findall(r'\b(?:src|href)="([^"]{0,22})', page)
    assert sources
    assert all(s.startswith('data:image/') for s in sources)

    model = init_model(result.config, result.checkpoint, 'cpu')
    assert model.dataset_meta['classes'] == result.classes
    for source in (result.checkpoint, out):  # the folder is a run as well
        again = init_model(source, device='cpu')
        assert again.cfg.model == model.cfg.model


def test_again_there_is_nothing_to_do(finished, tmp_path, monkeypatch):
    folder, first = finished
    out = first.out
    files = times(out)
    monkeypatch.setattr(run, 'train', None)  # would fail
    for options in ({}, dict(resume=True), dict(epochs=1, seed=0)):
        again = adapt(folder, out, **options)
        assert again == first
    other = folder.with_name('other')
    shutil.copytree(folder, other)
    with pytest.raises(ValueError, match="another adaptation: folder is '.*i"):
        adapt(other, out)
    with pytest.raises(ValueError, match='epochs is 1 there, 3 here'):
        adapt(folder, out, epochs=3)
    assert files == times(out)
    copy = tmp_path / 'copy'
    shutil.copytree(out, copy)
    (copy / 'checkpoint.pth').unlink()
    with pytest.raises(ValueError, match=r'lacks checkpoint\.pth'):
        adapt(folder, copy)


def test_own_parts(tiny_image_folder, small, tmp_path):
    folder = tiny_image_folder(
        num_classes=2, splits=dict(train=1, val=1, test=2)
    )
    result = adapt(folder, tmp_path / 'out', **small)
    assert result.metrics['test_images'] == 4
    assert not (result.out / 'splits.json').exists()
    # The tools get the same from config and checkpoint.
    cfg = read_config(result.config)
    cfg.load_from, cfg.launcher = str(result.checkpoint), 'none'
    cfg.work_dir = str(tmp_path / 'test')
    cfg.experiment_name = 'tested'
    assert build_runner(cfg).test()['accuracy/top1'] == pytest.approx(
        result.metrics['accuracy/top1']
    )


# -- bad input: one message, nothing written ----------------------------------
def keep(folder):
    return folder


def nowhere(folder):
    return folder / 'nowhere'


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()
    return folder


def one_class(folder):
    for name in ('class_1', 'class_2'):
        shutil.rmtree(folder / name)
    return folder


def no_folders(folder):
    return folder / 'class_0'


def text_alone(folder):
    shutil.rmtree(folder / 'class_1')
    (folder / 'class_1').mkdir()
    (folder / 'class_1/a.txt').write_text('a')
    return folder


def one_image(folder):
    for image in sorted((folder / 'class_1').iterdir())[1:]:
        image.unlink()
    return folder


def corrupt(folder):
    (folder / 'class_0/003.png').write_bytes(b'\x89PNG and no more')
    path = folder / 'class_2/big.jpg'
    noise = np.random.default_rng(0).integers(0, 256, (400, 300, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:30_000])
    return folder


def twice(folder):
    for part in ('train', 'test'):
        shutil.copytree(folder, folder.with_name('parts') / part)
    path = folder.with_name('parts') / 'test/class_0/000.png'
    path.unlink()
    os.link(folder.with_name('parts') / 'train/class_0/000.png', path)
    path.unlink()
    path.symlink_to(folder.with_name('parts') / 'train/class_0/000.png')
    return folder.with_name('parts')


@pytest.mark.parametrize(
    'spoil,options,said',
    [
        (nowhere, {}, r"folder '.*nowhere' does not exist: give a folder"),
        (empty, {}, 'two class folders, found none'),
        (one_class, {}, "two class folders, found only 'class_0'"),
        (no_folders, {}, 'two class folders, found none'),
        (text_alone, {}, 'no image of class class_1'),
        (one_image, {}, "'class_1' has 1 images, too few for train"),
        (corrupt, {}, r"2 of 31 images .*003\.png' cannot .*big\.jpg' cannot"),
        (twice, {}, r"000\.png' is in train and in test"),
        (keep, dict(img_size=40), 'multiple of .*16.*, got 40: take 32'),
        (keep, dict(img_size=16), 'at least 32, got 16'),
        (keep, dict(epochs=0), 'epochs must be at least 1, got 0'),
        (keep, dict(batch_size=-1), 'batch_size must be at least 1, got -1'),
        (keep, dict(seed=2**32), 'seed must be .* 0..4294967295, got 42949'),
        (keep, dict(seed=-1), 'seed must be a whole number .*, got -1'),
        (keep, dict(workers=-1), 'workers must be 0 or more, got -1'),
        (keep, dict(knowledge='clip'), "knowledge must be one of .*'clip'"),
        (keep, dict(black_box='vit_none'), "vit-s14 or a name .*'vit_none'"),
        (keep, dict(black_box=None), 'needs the name of the ViT'),
        (keep, dict(checkpoint='gone.pth'), r"'.*gone\.pth' does not exist"),
        (keep, dict(resume=True), 'nothing to resume'),
    ],
)
def test_bad_input(spoil, options, said, folder, small, tmp_path):
    out = tmp_path / 'results' / 'out'
    with pytest.raises((ValueError, OSError), match=said):
        adapt(spoil(folder), out, **{**small, **options})
    assert not out.parent.exists()


def test_out_that_cannot_be_used(folder, small, tmp_path):
    with pytest.raises(ValueError, match='must not lie in each other'):
        adapt(folder, folder / 'out', **small)
    with pytest.raises(ValueError, match='must not lie in each other'):
        adapt(folder, folder.parent, **small)
    file = tmp_path / 'file'
    file.write_text('mine')
    with pytest.raises(ValueError, match='is a file: name another'):
        adapt(folder, file, **small)
    with pytest.raises(ValueError, match='out .* be written.* with --out'):
        adapt(folder, file / 'out', **small)
    assert file.read_text() == 'mine'
    mine = tmp_path / 'mine'
    mine.mkdir()
    (mine / 'thesis.txt').write_text('mine')
    with pytest.raises(ValueError, match='was not made by adapt'):
        adapt(folder, mine, **small)
    assert [p.name for p in mine.iterdir()] == ['thesis.txt']
    (mine / 'adaptation.json').write_text('{"settings": 3}')
    with pytest.raises(ValueError, match='is not what adapt writes'):
        adapt(folder, mine, **small)


def test_files_left_out_are_named(folder, small, tmp_path, monkeypatch):
    (folder / 'class_0' / 'notes.txt').write_text('no image')
    monkeypatch.setattr(run, '_begin', None)
    said = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'warning', said.append)
    with pytest.raises(TypeError):
        adapt(folder, tmp_path / 'out', **small)
    assert len(said) == 1
    assert 'are no images and were left out: class_0/notes.txt' in said[0]
