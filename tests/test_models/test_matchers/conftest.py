"""Small images and a small matcher."""

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image

from lore_mm.datasets import ImageRef
from lore_mm.registry import MODELS


@pytest.fixture
def make_matcher():
    """``make(white_box=None, **options)``: a matcher with random weights."""

    def make(white_box=None, box=None, **options):
        config = dict(
            type='lore_mm.KeypointMatcher',
            backbone=dict(
                type='lore_mm.LOREViT',
                black_box=dict(
                    type='lore_mm.TimmBlackBox',
                    model_name='test_vit',
                    img_size=64,
                    depth=3,
                    **(box or {}),
                ),
                white_box=white_box,
                out_type='featmap',
            ),
            data_preprocessor=dict(
                mean=[127.5] * 3, std=[127.5] * 3, to_rgb=False
            ),
        )
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            return MODELS.build({**config, **options}).eval()

    return make


@pytest.fixture
def make_refs(tmp_path):
    """``make(3, sizes=[(w, h), ...], scale=64)``: images on disk."""

    def make(number, size=(90, 60), scale=(64, 64), steps=None):
        if steps is None:
            steps = [dict(type='Resize', scale=scale, backend='pillow')]
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            pipeline = Compose(
                [
                    dict(type='lore_mm.LoadRGBImage'),
                    *steps,
                    dict(type='PackInputs'),
                ]
            )
        refs = []
        for i in range(number):
            rng = np.random.default_rng(i)
            pixels = rng.integers(0, 255, (6, 9, 3), dtype=np.uint8)
            path = tmp_path / f'{i}.png'
            Image.fromarray(pixels).resize(size).save(path)
            refs.append(ImageRef(str(path), pipeline))
        return refs

    return make
