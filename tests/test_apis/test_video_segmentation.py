"""A video and a first mask in; masks and an overlay out."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from lore_mm.apis import VideoSegmentationInferencer
from lore_mm.datasets import VideoFile
from lore_mm.datasets.davis_masks import load_mask, save_mask
from lore_mm.engine import CheckpointError
from lore_mm.visualization import OverlayWriter

SIZE = (72, 120)


def frames(length: int = 4) -> list[np.ndarray]:
    """A bright square that moves over a dark ground."""
    found = []
    for index in range(length):
        img = np.full((*SIZE, 3), 30, dtype=np.uint8)
        img[20:52, 20 + 4 * index : 52 + 4 * index] = (250, 200, 40)
        found.append(img)
    return found


@pytest.fixture
def mask():
    found = np.zeros(SIZE, dtype=np.uint8)
    found[20:52, 20:52] = 1
    return found


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / 'frames'
    path.mkdir()
    for index, img in enumerate(frames()):
        Image.fromarray(img).save(path / f'{index + 7:03d}.png')
    return path


def config(white_box: dict | None) -> Config:
    return Config(
        dict(
            default_scope='mmseg',
            model=dict(
                type='lore_mm.LabelPropagator',
                backbone=dict(
                    type='lore_mm.LOREViT',
                    black_box=dict(
                        type='lore_mm.TimmBlackBox',
                        model_name='test_vit',
                        img_size=64,
                    ),
                    white_box=white_box,
                ),
            ),
            data_preprocessor=dict(
                type='lore_mm.FramePreprocessor',
                mean=[127.5] * 3,
                std=[127.5] * 3,
                short_side=64,
                multiple=16,
            ),
        )
    )


@pytest.fixture
def inferencer():
    torch.manual_seed(0)
    white_box = dict(type='lore_mm.WhiteBox', preset='extended')
    return VideoSegmentationInferencer(config(white_box), device='cpu')


def test_bare_black_box_without_a_checkpoint(inferencer):
    assert inferencer.model.backbone.white_box is None
    assert not inferencer.model.training


def test_folder_of_frames(inferencer, folder, mask, tmp_path):
    done = []
    masks = inferencer(
        folder,
        mask,
        out_dir=tmp_path / 'out',
        overlay=tmp_path / 'o.gif',
        progress=lambda *count: done.append(count),
    )
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(masks) == 4
    assert np.array_equal(masks[0], mask)
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert names == ['007.png', '008.png', '009.png', '010.png']
    for name, each in zip(names, masks, strict=True):
        assert np.array_equal(load_mask(tmp_path / 'out' / name), each)
    with Image.open(tmp_path / 'o.gif') as image:
        assert image.n_frames == 4


def test_video_file(inferencer, mask, tmp_path):
    with OverlayWriter(tmp_path / 'in.mp4', fps=10) as writer:
        for img in frames():
            writer.append(img)
    save_mask(tmp_path / 'first.png', mask)
    masks = inferencer(
        str(tmp_path / 'in.mp4'),
        tmp_path / 'first.png',
        out_dir=tmp_path / 'out',
        overlay=tmp_path / 'o.mp4',
    )
    assert len(masks) == 4
    assert (tmp_path / 'out/00003.png').is_file()
    overlay = VideoFile(tmp_path / 'o.mp4')
    assert overlay.fps == 10
    first = next(iter(overlay))
    assert first.shape == (*SIZE, 3)
    assert first[36, 36, 1] < 150  # tinted


def test_frames_in_memory(inferencer, folder, mask):
    found = inferencer(iter(frames()), mask, progress=True)
    expected = inferencer(folder, mask)
    assert all(
        np.array_equal(a, b) for a, b in zip(found, expected, strict=True)
    )


def test_255_is_void_or_the_one_object(inferencer, mask, tmp_path):
    Image.fromarray(mask * 255).save(tmp_path / 'first.png')
    expected = inferencer(frames(2), mask)
    for first in (tmp_path / 'first.png', mask * 255, mask.astype(bool)):
        found = inferencer(frames(2), first)
        assert np.array_equal(found[0], mask)
        assert np.array_equal(found[1], expected[1])
    mask[:10] = 255  # beside an object it is void
    found = inferencer(frames(2), mask)
    assert found[0].sum() == (mask == 1).sum()


def test_options_and_amp(mask):
    found = VideoSegmentationInferencer(
        config(None),
        device='cpu',
        cfg_options={'model.propagation': dict(context=1)},
        amp=True,
    )
    assert found.model.propagation == dict(context=1)
    assert len(found(frames(), mask)) == 4


def test_bad_input(inferencer, folder, mask, tmp_path):
    with pytest.raises(ValueError, match='holds no object to follow'):
        inferencer(folder, np.zeros(SIZE, np.uint8))
    with pytest.raises(ValueError, match='must be of one size'):
        inferencer(folder, mask[1:])
    with pytest.raises(ValueError, match='at least 2 frames, got 1'):
        inferencer(frames(1), mask, overlay=tmp_path / 'o.mp4')
    assert not (tmp_path / 'o.mp4').exists()
    video = frames()
    video[2] = video[2] / np.float32(255)
    message = r"frame 2 of 'video' must be RGB .* got float32 \(72, 120, 3\)"
    with pytest.raises(ValueError, match=message):
        inferencer(video, mask)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        inferencer(tmp_path / 'none.mp4', mask)
    with pytest.raises(FileNotFoundError, match='none.png'):
        inferencer(folder, tmp_path / 'none.png')
    Image.new('RGB', SIZE[::-1]).save(tmp_path / 'rgb.png')
    with pytest.raises(ValueError, match='got mode RGB'):
        inferencer(folder, tmp_path / 'rgb.png')
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(ValueError, match='cannot be written'):
        inferencer(folder, mask, out_dir=tmp_path / 'file' / 'out')
    with pytest.raises(ValueError, match='must end in one of'):
        inferencer(folder, mask, overlay=tmp_path / 'o.avi')
    with pytest.raises(CheckpointError, match='does not exist'):
        VideoSegmentationInferencer(
            config(None), checkpoint=tmp_path / 'none.pth'
        )
