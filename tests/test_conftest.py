"""The fixtures themselves."""

from PIL import Image


def test_tiny_image_folder(tiny_image_folder) -> None:
    plain = tiny_image_folder(num_classes=2, per_class=4, size=16)
    found = plain.rglob('*.png')
    files = sorted(p.relative_to(plain).as_posix() for p in found)
    assert len(files) == 8
    assert files[0] == 'class_0/000.png'
    assert Image.open(plain / files[0]).size == (16, 16)

    split = tiny_image_folder(splits={'train': 2, 'test': 1}, name='split')
    assert len(list(split.glob('train/*/*.png'))) == 6
    assert len(list(split.glob('test/*/*.png'))) == 3
