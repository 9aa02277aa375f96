"""Sizes and values of frames."""

import cv2
import numpy as np
import pytest
import torch

from lore_mm.models import FramePreprocessor
from lore_mm.models.segmentors import frame_size

VALUES = dict(mean=[123.675, 116.28, 103.53], std=[58.14, 57.12, 57.375])


@pytest.mark.parametrize(
    'size,options,expected',
    [
        ((480, 854), (480, 64), (480, 832)),  # DINO
        ((854, 480), (480, 64), (832, 480)),
        ((480, 480), (480, 64), (480, 448)),
        ((480, 854), (480, 14, 'floor', True), (476, 840)),
        ((480, 854), (960, 16, 'ceil', True), (960, 1712)),  # DINOv3
        ((854, 480), (960, 14, 'ceil', True), (1722, 966)),
        ((480, 854), (None, 16, 'nearest', True), (480, 848)),
        ((30, 900), (32, 32), (32, 960)),
        ((20, 20), (8, 32, 'floor', True), (32, 32)),
    ],
)
def test_sizes(size, options, expected):
    assert frame_size(size, *options) == expected


def test_frame_as_dino_reads_it():
    rng = np.random.default_rng(0)
    img = rng.integers(0, 255, (100, 178, 3), dtype=np.uint8)
    found = FramePreprocessor(**VALUES, short_side=96).frame(img)
    resized = cv2.resize(img, (128, 96)) / 255
    mean, std = [0.485, 0.456, 0.406], [0.228, 0.224, 0.225]
    expected = torch.tensor((resized - mean) / std).permute(2, 0, 1)[None]
    assert found.shape == (1, 3, 96, 128)
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    'frame, got',
    [
        (np.zeros((32, 32, 3), np.float32), 'float32 .32, 32, 3.'),
        (np.zeros((32, 32), np.uint8), 'uint8 .32, 32.'),
        (np.zeros((32, 32, 4), np.uint8), 'uint8 .32, 32, 4.'),
        (np.zeros((0, 32, 3), np.uint8), 'uint8 .0, 32, 3.'),
        (torch.zeros(32, 32, 3, dtype=torch.uint8), 'Tensor'),
    ],
)
def test_other_pixels_are_refused(frame, got):
    message = f'a frame must be RGB .* of type uint8, got {got};'
    with pytest.raises(ValueError, match=message):
        FramePreprocessor(**VALUES).frame(frame)


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(short_side=0), 'short_side must be at least 1, got 0'),
        (dict(multiple=0), 'multiple must be at least 1, got 0'),
        (dict(rounding='up'), "rounding must be one of .* got 'up'"),
        (dict(interpolation='best'), "interpolation must be .* got 'best'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        FramePreprocessor(**VALUES, **options)
