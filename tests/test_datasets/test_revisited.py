"""Retrieval sets: which images, how large, in which order."""

import json
from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from lore_mm.datasets import (
    RetrievalImages,
    RetrievalThumbnail,
    RevisitedRetrieval,
)

SIZES = [(80, 60), (60, 80), (40, 40), (80, 60), (90, 60), (60, 80)]
LOAD = [dict(type='lore_mm.LoadRGBImage')]
SHRINK = [*LOAD, dict(type='lore_mm.RetrievalThumbnail')]


def draw(path, size, seed):
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    """Two queries and four images in the database."""
    names = ['q0', 'q1', 'd0', 'd1', 'd2', 'd3']
    for i, (name, size) in enumerate(zip(names, SIZES, strict=True)):
        draw(tmp_path / 'jpg' / f'{name}.png', size, i)
    gnd = [
        dict(bbx=[10, 10, 50, 40], easy=[0], hard=[], junk=[1]),
        dict(bbx=[0, 0, 60, 80], easy=[], hard=[2], junk=[]),
    ]
    content = dict(gnd=gnd, imlist=names[2:], qimlist=names[:2])
    (tmp_path / 'gnd.json').write_text(json.dumps(content))
    return tmp_path


def build(root, **kwargs):
    options = dict(long_side=40, img_suffix='.png', pipeline=SHRINK)
    return RevisitedRetrieval(str(root), 'gnd.json', **{**options, **kwargs})


def by_row(dataset):
    return sorted(
        (dataset[i] for i in range(len(dataset))), key=lambda x: x['row']
    )


def test_queries_first_then_the_database(root):
    dataset = build(root)
    names = [item['img_path'].rsplit('/')[-1] for item in by_row(dataset)]
    assert names == [f'{n}.png' for n in ('q0', 'q1', 'd0', 'd1', 'd2', 'd3')]
    meta = dataset.metainfo
    assert (meta['num_queries'], meta['num_images']) == (2, 4)
    assert meta['gnd'][0] == dict(easy=[0], hard=[], junk=[1])


def test_dino_shrinks_whole_images_as_pillow_does(root):
    for item in by_row(build(root, convention='dino')):
        with Image.open(item['img_path']) as img:
            img.thumbnail((40, 40), Image.Resampling.LANCZOS)
            assert np.array_equal(item['img'], np.array(img))
        assert item['img_shape'] == item['img'].shape[:2]


def test_revisitop_crops_queries_at_the_scale_of_the_database(root):
    items = by_row(build(root, convention='revisitop'))
    with Image.open(root / 'jpg' / 'q0.png') as img:
        img = img.crop((10, 10, 50, 40))  # 40 x 30 of 80 x 60
        img.thumbnail((20, 20), Image.Resampling.LANCZOS)
        assert np.array_equal(items[0]['img'], np.array(img))
    assert items[1]['img'].shape == (40, 30, 3)  # its box is all of it
    assert items[2]['img'].shape == (40, 40, 3)  # never enlarged
    assert build(root, convention='revisitop', long_side=None).long_side == (
        1024
    )


def test_crop_can_be_switched_by_itself(root):
    items = by_row(build(root, convention='dino', query_crop=True))
    assert items[0]['img'].shape == (15, 20, 3)
    items = by_row(build(root, convention='revisitop', query_crop=False))
    assert items[0]['img'].shape == (30, 40, 3)


def test_like_sizes_stand_side_by_side(root):
    dataset = build(root)
    shapes = [dataset[i]['img'].shape for i in range(len(dataset))]
    assert len(list(groupby(shapes))) == len(set(shapes)) == 4
    plain = build(root, group_by_size=False)
    assert [plain[i]['row'] for i in range(6)] == list(range(6))


def test_distractors_are_more_of_the_database(root):
    for i in range(3):
        draw(root / 'more' / f'{i}.png', (20, 20), i)
    (root / 'list.txt').write_text('0.png\n2.png\n\n')
    dataset = build(root, distractors='list.txt', distractor_dir='more')
    assert dataset.metainfo['num_images'] == 6
    assert by_row(dataset)[-1]['img_path'].endswith('more/2.png')


def test_facts_notice_other_pixels_boxes_and_sizes(root):
    before = build(root).image_facts()
    assert before == build(root, group_by_size=False).image_facts()
    assert all(str(root) not in line for line in before)
    for other in (dict(long_side=30), dict(query_crop=True)):
        assert build(root, **other).image_facts() != before
    draw(root / 'jpg' / 'd3.png', SIZES[5], 99)
    after = build(root).image_facts()
    assert after[:5] == before[:5]
    assert after[5] != before[5]


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(convention='oxford'), "revisitop', 'dino.*got 'oxford'"),
        (dict(long_side=None), "'dino' needs long_side"),
        (dict(long_side=0), 'long_side must be at least 1, got 0'),
    ],
)
def test_bad_arguments(root, options, message):
    with pytest.raises(ValueError, match=message):
        build(root, **options)


def test_missing_images_are_counted_and_named(root):
    (root / 'jpg' / 'd1.png').unlink()
    (root / 'jpg' / 'q0.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'2 of 6 images .*q0\.png'):
        build(root)
    with pytest.raises(FileNotFoundError, match="data_root '.*nowhere'"):
        build(root / 'nowhere')


def test_query_without_a_box_cannot_be_cropped(root):
    content = json.loads((root / 'gnd.json').read_text())
    del content['gnd'][1]['bbx']
    (root / 'gnd.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match="query 'q1' has no .*query_crop"):
        build(root, convention='revisitop')
    assert len(build(root)) == 6


@pytest.mark.parametrize('box', [(80, 0, 90, 10), (-9, -9, 0, 5)])
def test_box_outside_of_the_image(box):
    item = dict(
        img=np.zeros((60, 80, 3), np.uint8), crop=box, long_side=40,
        img_path='a.jpg',
    )  # fmt: skip
    with pytest.raises(ValueError, match='lies outside .* 80 x 60 pixels'):
        RetrievalThumbnail().transform(item)


def test_no_images_and_damaged_ones(tmp_path):
    with pytest.raises(ValueError, match='there is no image'):
        RetrievalImages([])
    path = tmp_path / 'a.jpg'
    path.write_bytes(b'no image')
    dataset = RetrievalImages([path], pipeline=LOAD)
    with pytest.raises(ValueError, match=r"a\.jpg' cannot be read"):
        dataset[0]


def test_image_above_the_limit_of_pixels(tmp_path, monkeypatch):
    Image.new('RGB', (32, 32)).save(tmp_path / 'huge.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    dataset = RetrievalImages([tmp_path / 'huge.png'], pipeline=LOAD)
    with pytest.raises(ValueError, match=r"huge\.png' cannot be read"):
        dataset[0]


def test_order_follows_the_turned_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new('RGB', (40, 20)).save(tmp_path / '0.jpg', exif=exif)
    Image.new('RGB', (40, 20)).save(tmp_path / '1.jpg')
    Image.new('RGB', (20, 40)).save(tmp_path / '2.jpg')
    paths = [tmp_path / f'{i}.jpg' for i in range(3)]
    dataset = RetrievalImages(paths, pipeline=LOAD)
    shapes = [dataset[i]['img'].shape[:2] for i in range(3)]
    assert shapes == [(20, 40), (40, 20), (40, 20)]


def test_missing_ground_truth_names_the_key(tmp_path):
    match = r"none\.json' .*Name .*by test_dataloader\.dataset\.ann_file"
    with pytest.raises(FileNotFoundError, match=match):
        RevisitedRetrieval(str(tmp_path), 'none.json', long_side=64)


def test_real_scenes(real_data):
    dataset = RevisitedRetrieval(
        str(real_data / 'retrieval_scenes'),
        'gnd_scenes_homemade.pkl',
        long_side=64,
        pipeline=[],
    )
    meta = dataset.metainfo
    assert (meta['num_queries'], meta['num_images']) == (24, 77)
