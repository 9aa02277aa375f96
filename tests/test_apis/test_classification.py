"""ClassificationInferencer: any kind of image in, names and scores out."""

import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image

from lore_mm.apis import ClassificationInferencer
from lore_mm.apis.images import PixelPipeline, image_batches
from lore_mm.engine import ConfigError

CLASSES = ('class_0', 'class_1', 'class_2')


@pytest.fixture
def classify(classifier_config, checkpoint):
    return ClassificationInferencer(classifier_config, checkpoint)


@pytest.fixture
def photos(tmp_path):
    """Three photos, one in a sub-folder, beside a text and hidden files."""
    rng = np.random.default_rng(0)
    folder = tmp_path / 'photos'
    (folder / 'more').mkdir(parents=True)
    for name in ('a.png', 'b.PNG', 'more/c.png'):
        pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / '__MACOSX').mkdir()
    for name in ('notes.txt', '._a.png', '__MACOSX/b.png'):
        (folder / name).write_text('no image')
    return folder


def test_files_folders_arrays_and_pil_agree(classify, photos):
    whole = classify(photos)
    paths = [photos / name for name in ('a.png', 'b.PNG', 'more/c.png')]
    assert [row['path'] for row in whole] == [str(p) for p in paths]
    pil = [Image.open(path) for path in paths]
    arrays = [np.array(img) for img in pil]
    for given in (paths, pil, arrays, [photos], [paths[0], pil[1], arrays[2]]):
        found = classify(given)
        assert [row['scores'] for row in found] == [
            pytest.approx(row['scores'], abs=1e-6) for row in whole
        ]
    assert [row['path'] for row in classify(arrays)] == [None] * 3
    assert classify(pil[0])[0]['path'] == str(paths[0])
    assert len(classify(str(paths[0]))) == len(classify(arrays[0])) == 1


def test_what_the_model_gives(classify, photos):
    (row,) = classify(photos / 'a.png', topk=None)
    pixels = np.array(Image.open(photos / 'a.png'))
    img = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        logits = classify.model((img - 127.5) / 127.5, mode='tensor')
    scores = logits.softmax(-1)[0]
    order = scores.argsort(descending=True).tolist()
    assert row['labels'] == order
    assert row['names'] == [CLASSES[label] for label in order]
    assert row['scores'] == pytest.approx(scores[order].tolist(), abs=1e-6)


def test_photos_are_read_as_in_the_test(classify, tmp_path):
    """A loader with ``min_side`` decodes large JPEG photos reduced."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (512, 768, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.jpg')
    cfg = classify.model.cfg.copy()
    cfg.test_dataloader.dataset.pipeline = [
        dict(type='lore_mm.LoadRGBImage', min_side=128),
        dict(type='Resize', scale=(64, 64), backend='pillow'),
        dict(type='PackInputs'),
    ]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        tested = Compose(cfg.test_dataloader.dataset.pipeline)
        tested = tested(dict(img_path=str(tmp_path / 'a.jpg')))['inputs']
    (batch,) = image_batches([tmp_path / 'a.jpg'], PixelPipeline(cfg))
    assert torch.equal(batch['inputs'][0], tested)
    whole = np.array(Image.open(tmp_path / 'a.jpg'))
    (batch,) = image_batches([whole], PixelPipeline(cfg))
    assert not torch.equal(batch['inputs'][0], tested)


def test_top_k(classify, photos):
    (best,) = classify(photos / 'a.png', topk=1)
    (all_,) = classify(photos / 'a.png', topk=99)
    assert [len(best[k]) for k in ('labels', 'names', 'scores')] == [1] * 3
    assert best['labels'] == all_['labels'][:1]
    assert sum(all_['scores']) == pytest.approx(1, abs=1e-6)
    with pytest.raises(ValueError, match='topk must be at least 1, got 0'):
        classify(photos, topk=0)


def test_batches_give_the_same(classify, photos, monkeypatch):
    whole = classify(photos, batch_size=3)
    sizes = []
    step = classify.model.test_step

    def test_step(batch):
        sizes.append(len(batch['inputs']))
        return step(batch)

    monkeypatch.setattr(classify.model, 'test_step', test_step)
    parts = classify(photos, batch_size=2)
    assert sizes == [2, 1]
    sizes.clear()
    large = np.zeros((96, 64, 3), np.uint8)  # no batch with the others
    mixed = classify([photos / 'a.png', large, photos / 'b.PNG'])
    assert sizes == [1, 1, 1]
    for one, other in zip(whole, parts, strict=True):
        assert one['scores'] == pytest.approx(other['scores'], abs=1e-6)
    assert mixed[2]['scores'] == pytest.approx(whole[1]['scores'], abs=1e-6)
    with pytest.raises(ValueError, match='batch_size must be at least 1'):
        classify(photos, batch_size=0)


@pytest.mark.parametrize('kind', ['rgba', 'gray16', 'cmyk', 'palette'])
def test_other_modes_are_read_as_in_training(classify, kind, tmp_path):
    rng = np.random.default_rng(0)
    rgba = Image.fromarray(rng.integers(0, 256, (64, 64, 4), np.uint8))
    gray = rng.integers(0, 2**16, (64, 64), np.uint16)
    img = dict(
        rgba=rgba,
        gray16=Image.fromarray(gray),
        cmyk=rgba.convert('RGB').convert('CMYK'),
        palette=rgba.convert('P'),
    )[kind]
    path = tmp_path / ('a.tif' if kind == 'cmyk' else 'a.png')
    img.save(path)
    (wanted,) = classify(path)
    given = [Image.open(path)]
    if kind in ('rgba', 'gray16'):
        given.append(np.array(given[0]))
    for row in classify(given):
        assert row['scores'] == pytest.approx(wanted['scores'], abs=1e-6)


def test_bad_images(classify, photos, tmp_path):
    whole = (photos / 'a.png').read_bytes()
    broken = photos / 'broken.png'
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"broken.png' cannot be read"):
        classify(photos)
    with pytest.raises(ValueError, match=r"broken.png' cannot be read"):
        classify(Image.open(broken))
    with pytest.raises(ValueError, match=r"notes.txt' cannot be read"):
        classify(photos / 'notes.txt')
    with pytest.raises(FileNotFoundError, match='gone.png'):
        classify([photos / 'a.png', photos / 'gone.png'])
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='there is no image in'):
        classify(tmp_path / 'empty')
    with pytest.raises(ValueError, match='the list is empty'):
        classify([])
    with pytest.raises(ValueError, match=r'image 1 must be RGB .* float64'):
        classify([photos / 'a.png', np.zeros((8, 8, 3))])
    with pytest.raises(ValueError, match='must be a path, .* got int'):
        classify(3)


@pytest.mark.filterwarnings('ignore:no checkpoint')
def test_names_and_models(classifier_config, checkpoint, photos):
    named = ClassificationInferencer(checkpoint, classes=['x', 'y', 'z'])
    assert set(named(photos / 'a.png')[0]['names']) == {'x', 'y', 'z'}
    with pytest.raises(ValueError, match='must be 3 names.* got 1'):
        ClassificationInferencer(checkpoint, classes=['x'])
    cfg = Config.fromfile(classifier_config)
    cfg.model.neck = cfg.model.head = None
    with pytest.raises(ValueError, match='ImageClassifier with a head'):
        ClassificationInferencer(cfg)
    cfg = Config.fromfile(classifier_config)
    cfg.test_dataloader.dataset.pipeline[0] = dict(type='LoadImageFromFile')
    with pytest.raises(ConfigError, match='must begin with .*LoadRGBImage'):
        ClassificationInferencer(cfg, checkpoint)
    cfg.test_dataloader = None
    with pytest.raises(ConfigError, match='no test_dataloader.dataset.pipe'):
        ClassificationInferencer(cfg, checkpoint)


def test_numbers_stand_for_unknown_names(checkpoint, photos, tmp_path):
    shutil.rmtree(tmp_path / 'images_3')
    content = torch.load(checkpoint, weights_only=True)
    for key in ('classes', 'dataset_meta'):
        content['meta'].pop(key)
    torch.save(content, tmp_path / 'nameless.pth')
    classify = ClassificationInferencer(tmp_path / 'nameless.pth')
    (row,) = classify(photos / 'a.png')
    assert row['names'] == [str(label) for label in row['labels']]
