"""Classes and maps of one image after the other, as the page shows them."""

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from lore_mm.apis import AttentionVisualizer, ImageExplorer

SIZE = 64


@pytest.fixture
def explore(classifier_config, checkpoint):
    return ImageExplorer(classifier_config, checkpoint, 'cpu', topk=2)


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'photo.png')
    return tmp_path / 'photo.png'


def test_classes_and_attention(explore, photo):
    scores, attention = explore.open(photo)
    (found,) = explore.classify(photo, topk=2)
    assert scores == dict(zip(found['names'], found['scores'], strict=True))
    assert len(scores) == 2
    assert attention.label == found['labels'][0]
    assert attention.num_layers == explore.num_layers
    assert attention.num_heads == explore.num_heads
    assert attention.grid == (4, 4)


def test_maps_of_a_move_are_those_of_a_new_computation(explore, photo):
    attention = explore.open(photo).attention
    compute = AttentionVisualizer(explore.classify.model).compute
    for options in (
        dict(layer=0),
        dict(layer=1, head=1, query=(33.0, 20.0)),
        dict(layer=1, rollout=True),
    ):
        kept, new = attention.maps(**options), compute(photo, **options)
        assert kept.arrays().keys() == new.arrays().keys()
        for key, values in new.arrays().items():
            np.testing.assert_array_equal(kept.arrays()[key], values)


def test_a_move_needs_no_model(explore, photo, monkeypatch):
    attention = explore.open(photo).attention
    monkeypatch.setattr(explore.classify.model, 'forward', None)
    monkeypatch.setattr(explore.classify.model, 'backbone', None)
    first, share = explore.pictures(attention, layer=0)
    assert list(first) == ['image', 'B-B', 'LORE']  # no class embeddings
    assert 0 < share < 1
    assert {each.shape for each in first.values()} == {(336, 336, 3)}
    other, _ = explore.pictures(attention, layer=1)
    assert (first['LORE'] != other['LORE']).any()
    np.testing.assert_array_equal(first['image'], other['image'])
    marked, _ = explore.pictures(attention, layer=0, query=(0, 0))
    assert (first['image'] != marked['image']).any()
    assert explore.pictures(attention, rollout=True)[1] is None


def test_a_click_asks_from_the_patch_under_it(explore, photo):
    attention = explore.open(photo).attention
    query = explore.query_at(attention, 336 * 0.6, 336 * 0.3)
    assert attention.maps(query=query).query == (1, 2)
    edge = explore.query_at(attention, 336, 336)
    assert attention.maps(query=edge).query == (3, 3)
    assert explore.query_at(attention, -1, -1) == (0, 0)


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'I;16'])
def test_kinds_of_images(explore, tmp_path, mode):
    if mode == 'I;16':
        image = Image.fromarray(np.full((SIZE, SIZE), 999, np.uint16))
    else:
        image = Image.new(mode, (SIZE, SIZE))
    image.save(tmp_path / 'image.png')
    assert explore.open(tmp_path / 'image.png').scores


def test_a_photo_of_20_megapixels(classifier_config, checkpoint, tmp_path):
    cfg = Config.fromfile(classifier_config)
    cfg.test_dataloader.dataset.pipeline.insert(
        1, dict(type='Resize', scale=(SIZE, SIZE), backend='pillow')
    )
    Image.new('RGB', (5472, 3648)).save(tmp_path / 'big.png')
    explore = ImageExplorer(cfg, checkpoint, 'cpu')
    attention = explore.open(tmp_path / 'big.png').attention
    assert attention.image.shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize('kind', ['text', 'truncated', 'empty'])
def test_what_is_no_image_is_named_without_its_folder(
    explore, photo, tmp_path, kind
):
    content = dict(
        text=b'a note', truncated=photo.read_bytes()[:999], empty=b''
    )[kind]
    path = tmp_path / 'upload.png'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='cannot be read') as caught:
        explore.open(path)
    assert "'upload.png'" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_examples_come_from_all_classes(explore, tmp_path):
    found = explore.examples(3)
    assert [path.parent.name for path in found] == [
        'class_0',
        'class_1',
        'class_2',
    ]
    assert len(explore.examples(500)) == 24
    (tmp_path / 'images_3').rename(tmp_path / 'gone')
    assert explore.examples() == []
