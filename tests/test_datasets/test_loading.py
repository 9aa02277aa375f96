"""LoadRGBImage on every kind of image, and on damaged ones."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from lore_mm.datasets import LoadRGBImage
from lore_mm.datasets.loading import find_images


def load(path: Path) -> np.ndarray:
    return LoadRGBImage()({'img_path': str(path)})['img']


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def test_keys_and_order_of_colours(tmp_path, pixels) -> None:
    path = tmp_path / 'a.png'
    Image.fromarray(pixels).save(path)
    results = LoadRGBImage()({'img_path': str(path), 'gt_label': 1})
    np.testing.assert_array_equal(results['img'], pixels)
    assert results['img'].dtype == np.uint8
    assert results['img'].flags.writeable
    assert results['img_shape'] == results['ori_shape'] == (6, 9)
    assert results['gt_label'] == 1


def test_registered_for_mmpretrain_pipelines(tmp_path, pixels) -> None:
    loader = TRANSFORMS.build(dict(type='lore_mm.LoadRGBImage'))
    assert isinstance(loader, LoadRGBImage)
    assert 'LoadRGBImage' in repr(loader)


def test_gray_16_bit_is_scaled(tmp_path) -> None:
    values = np.array([[0, 128, 129, 257], [32768, 65407, 65408, 65535]])
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), values.astype(np.uint16))
    assert Image.open(path).mode.startswith('I')
    wanted = [[0, 0, 1, 1], [128, 255, 255, 255]]
    for channel in range(3):
        np.testing.assert_array_equal(load(path)[..., channel], wanted)


def test_big_endian_16_bit_and_32_bit_within_range(tmp_path) -> None:
    values = np.array([[0, 257], [65535, 514]])
    Image.fromarray(values.astype('>u2')).save(tmp_path / 'big.tif')
    Image.fromarray(values.astype(np.int32)).save(tmp_path / 'wide.tif')
    for name in ('big.tif', 'wide.tif'):
        got = load(tmp_path / name)
        np.testing.assert_array_equal(got[..., 1], [[0, 1], [255, 2]])


def test_colour_16_bit_is_scaled(tmp_path, pixels) -> None:
    path = tmp_path / 'a.png'
    wide = pixels.astype(np.uint16) * 257
    cv2.imwrite(str(path), wide[..., ::-1])
    np.testing.assert_array_equal(load(path), pixels)


def test_gray_palette_and_bilevel(tmp_path, pixels) -> None:
    gray = Image.fromarray(pixels[..., 0])
    gray.save(tmp_path / 'gray.png')
    got = load(tmp_path / 'gray.png')
    np.testing.assert_array_equal(got, np.stack([pixels[..., 0]] * 3, -1))

    palette = Image.fromarray(pixels).quantize(16)
    palette.save(tmp_path / 'palette.png')
    wanted = np.array(palette.convert('RGB'))
    np.testing.assert_array_equal(load(tmp_path / 'palette.png'), wanted)

    gray.convert('1').save(tmp_path / 'bits.png')
    assert set(np.unique(load(tmp_path / 'bits.png'))) == {0, 255}


def test_transparent_pixels_lie_over_white(tmp_path) -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / 'rgba.png')
    wanted = [[[10, 20, 30], [255, 255, 255]]]
    np.testing.assert_array_equal(load(tmp_path / 'rgba.png'), wanted)

    palette = Image.new('P', (2, 1), 1)
    palette.putpalette([1, 2, 3, 200, 100, 50])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / 'p.png', transparency=0)
    wanted = [[[255, 255, 255], [200, 100, 50]]]
    np.testing.assert_array_equal(load(tmp_path / 'p.png'), wanted)


def test_cmyk_jpeg(tmp_path) -> None:
    path = tmp_path / 'a.jpg'
    Image.new('RGB', (16, 16), (200, 30, 60)).convert('CMYK').save(path)
    assert Image.open(path).mode == 'CMYK'
    difference = load(path).astype(int) - [200, 30, 60]
    assert np.abs(difference).max() <= 4


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation(tmp_path, pixels, orientation) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / 'a.png'
    Image.fromarray(pixels).save(path, exif=exif)
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(pixels),
    }
    np.testing.assert_array_equal(load(path), turned[orientation])


def encoded(kind: str, size: int = 64) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (size, size, 3))
    stream = io.BytesIO()
    Image.fromarray(noise.astype(np.uint8)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_truncated_file_is_named(tmp_path, kind) -> None:
    data = encoded(kind)
    path = tmp_path / 'half.jpg'
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"image '.*half\.jpg' cannot be"):
        load(path)


def test_truncated_jpeg_says_so(tmp_path) -> None:
    path = tmp_path / 'half.jpg'
    path.write_bytes(encoded('JPEG')[:-600])
    with pytest.raises(ValueError, match='is truncated'):
        load(path)


def test_damaged_middle_of_png(tmp_path) -> None:
    data = bytearray(encoded('PNG'))
    data[200:260] = bytes(60)
    path = tmp_path / 'bad.png'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"image '.*bad\.png' cannot be"):
        load(path)


def test_no_image_empty_missing_and_folder(tmp_path) -> None:
    (tmp_path / 'text.jpg').write_text('hello')
    with pytest.raises(ValueError, match='no image that Pillow knows'):
        load(tmp_path / 'text.jpg')
    (tmp_path / 'empty.jpg').touch()
    with pytest.raises(ValueError, match='the file is empty'):
        load(tmp_path / 'empty.jpg')
    with pytest.raises(FileNotFoundError, match=r"'.*gone\.jpg' does not"):
        load(tmp_path / 'gone.jpg')
    with pytest.raises(ValueError, match='is a folder'):
        load(tmp_path)


def test_pixels_beyond_16_bits_are_refused(tmp_path) -> None:
    values = np.array([[0, 70000]], np.int32)
    Image.fromarray(values).save(tmp_path / 'a.tif')
    with pytest.raises(ValueError, match='from 0 to 70000 do not fit'):
        load(tmp_path / 'a.tif')
    Image.fromarray(values.astype(np.float32)).save(tmp_path / 'b.tif')
    with pytest.raises(ValueError, match='pixels are floats'):
        load(tmp_path / 'b.tif')


def test_oversized_image_is_refused(tmp_path, monkeypatch) -> None:
    path = tmp_path / 'huge.png'
    Image.new('RGB', (32, 32)).save(path)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    with pytest.raises(ValueError, match=r"'.*huge\.png' cannot be read"):
        load(path)


def test_photos_are_decoded_reduced(tmp_path) -> None:
    path = tmp_path / 'photo.jpg'
    ramp = np.linspace(0, 255, 1600).astype(np.uint8)
    photo = Image.fromarray(np.broadcast_to(ramp, (1000, 1600)).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    photo.save(path, exif=exif)
    whole = load(path)
    assert whole.shape == (1600, 1000, 3)
    for side, reduced in ((501, (1600, 1000)), (500, (800, 500)), (1, (200,))):
        found = LoadRGBImage(min_side=side)({'img_path': str(path)})
        assert found['img'].shape[: len(reduced)] == reduced
        assert found['img_shape'] == found['img'].shape[:2]
    step = whole[4::8, 4::8].astype(int)
    assert np.abs(found['img'] - step).max() <= 3
    other = tmp_path / 'photo.png'
    photo.save(other)
    found = LoadRGBImage(min_side=1)({'img_path': str(other)})
    assert found['img'].shape == (1000, 1600, 3)
    cut = path.read_bytes()
    path.write_bytes(cut[: len(cut) // 2])
    with pytest.raises(ValueError, match=r'photo\.jpg.* cannot be read'):
        LoadRGBImage(min_side=1)({'img_path': str(path)})
    with pytest.raises(ValueError, match='min_side must be at least 1, got 0'):
        LoadRGBImage(min_side=0)


def test_links_to_folders_are_followed(tmp_path) -> None:
    """As ImageFolder does; a loop of links ends."""
    elsewhere, root = tmp_path / 'elsewhere', tmp_path / 'root'
    for folder in (elsewhere / 'deep', root / '.hidden', root / 'b.png'):
        folder.mkdir(parents=True)
    for file in (
        elsewhere / 'deep' / 'a.JPG',
        root / 'b.png' / 'c.png',
        root / '.hidden' / 'd.png',
        root / '._e.png',
        root / 'f.txt',
    ):
        file.touch()
    (root / 'link').symlink_to(elsewhere)
    (root / 'link2').symlink_to(elsewhere / 'deep')
    (elsewhere / 'back').symlink_to(root)
    (root / 'self').symlink_to(root)
    (root / 'gone').symlink_to(tmp_path / 'nowhere')
    assert find_images(root) == [
        root / 'b.png' / 'c.png',
        root / 'link' / 'deep' / 'a.JPG',
        root / 'link2' / 'a.JPG',
    ]
    assert find_images(tmp_path / 'nowhere') == []
