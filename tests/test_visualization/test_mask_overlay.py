"""Pictures and videos of masks."""

import numpy as np
import pytest
from PIL import Image

from lore_mm.datasets import VideoFile
from lore_mm.visualization import OverlayWriter, overlay_mask


def scene() -> tuple[np.ndarray, np.ndarray]:
    img = np.full((48, 64, 3), 100, dtype=np.uint8)
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[10:30, 10:30], mask[10:30, 30:50] = 1, 2
    return img, mask


def test_objects_are_tinted_and_outlined():
    img, mask = scene()
    found = overlay_mask(img, mask, alpha=0.5)
    assert np.array_equal(found[mask == 0], img[mask == 0])
    assert found[20, 20].tolist() == [114, 50, 50]
    assert found[20, 40].tolist() == [50, 114, 50]
    # The outline runs along the ground and between the objects.
    for row, col in ((10, 20), (20, 10), (29, 20), (20, 29)):
        assert found[row, col].tolist() == [128, 0, 0]
    assert found[20, 30].tolist() == [0, 128, 0]
    assert img.max() == 100  # not changed


def test_own_colours_come_round():
    img, mask = scene()
    palette = np.array([[0, 0, 0], [200, 0, 0]], dtype=np.uint8)
    found = overlay_mask(img, mask, alpha=1, palette=palette)
    assert np.unique(found[mask > 0], axis=0).tolist() == [[200, 0, 0]]


def test_bad_arguments():
    img, mask = scene()
    with pytest.raises(ValueError, match='img and mask must be of one size'):
        overlay_mask(img, mask[1:])
    with pytest.raises(ValueError, match=r'alpha must be in \[0, 1\], got 2'):
        overlay_mask(img, mask, alpha=2)


def test_mp4(tmp_path):
    path = tmp_path / 'new' / 'a.mp4'
    with OverlayWriter(path, fps=12) as writer:
        for value in (40, 120, 200):
            writer.append(np.full((48, 64, 3), value, dtype=np.uint8))
    video = VideoFile(path)
    assert video.fps == 12
    means = [frame.mean() for frame in video]
    assert np.allclose(means, [40, 120, 200], atol=8)


def test_gif(tmp_path):
    path = tmp_path / 'a.gif'
    with OverlayWriter(path, fps=20) as writer:
        for value in (40, 120, 200):
            writer.append(np.full((48, 640, 3), value, dtype=np.uint8))
    with Image.open(path) as image:
        assert image.n_frames == 3
        assert image.info['duration'] == 50
        assert image.size == (480, 36)


@pytest.mark.parametrize('name', ['a.mp4', 'a.gif'])
def test_no_half_a_video(tmp_path, name):
    """A failure leaves the video that was there before, and nothing else."""
    path = tmp_path / name
    path.write_text('an older video')
    with pytest.raises(KeyError), OverlayWriter(path) as writer:
        writer.append(scene()[0])
        raise KeyError
    with pytest.raises(ValueError, match='it has no frame'):
        OverlayWriter(path).close()
    assert path.read_text() == 'an older video'
    with OverlayWriter(path) as writer:
        writer.append(scene()[0])
    assert path.read_bytes() != b'an older video'
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable(tmp_path):
    with pytest.raises(ValueError, match=r"must end in one of .*'a.avi'"):
        OverlayWriter('a.avi')
    with pytest.raises(ValueError, match='fps must be above 0'):
        OverlayWriter(tmp_path / 'a.gif', fps=0)
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(ValueError, match='cannot be written'):
        OverlayWriter(tmp_path / 'file' / 'a.mp4')
    (tmp_path / 'b.gif').mkdir()
    with (
        pytest.raises(ValueError, match=r"b.gif' cannot be .*choose another"),
        OverlayWriter(tmp_path / 'b.gif') as writer,
    ):
        writer.append(scene()[0])


def test_file_that_is_no_video(tmp_path):
    with pytest.raises(FileNotFoundError, match='does not exist'):
        VideoFile(tmp_path / 'none.mp4')
    (tmp_path / 'a.mp4').write_text('no video')
    with pytest.raises(ValueError, match='cannot be decoded'):
        VideoFile(tmp_path / 'a.mp4')
