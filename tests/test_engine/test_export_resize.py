"""How a pipeline resizes, as an exported file tells it."""

import pytest
from mmcv.transforms import CenterCrop, Resize
from mmpretrain.datasets import PackInputs, ResizeEdge

from lore_mm.engine.export_resize import resize_facts

PILLOW = dict(backend='pillow', interpolation='bicubic')
SQUASH = Resize(scale=(224, 224), **PILLOW)
SHORT = ResizeEdge(scale=256, **PILLOW)
CROP = CenterCrop(crop_size=224)


@pytest.mark.parametrize(
    ('steps', 'img_size', 'short_side', 'min_side'),
    [
        ([SQUASH], (224, 224), None, 448),
        ([SQUASH], (98, 112), None, 224),
        ([SHORT, CROP], (224, 224), 256, 448),
        # in proportion, and never below a side of the crop
        ([SHORT, CROP], (98, 98), 112, 196),
        ([SHORT, CROP], (98, 224), 256, 448),
    ],
)
def test_pipelines_of_this_package(steps, img_size, short_side, min_side):
    steps = [*steps, PackInputs()]
    assert resize_facts(steps, img_size, 448) == dict(
        short_side=short_side, interpolation='bicubic', min_side=min_side
    )
    assert resize_facts(steps, img_size)['min_side'] is None


@pytest.mark.parametrize(
    'steps',
    [
        [],
        [CROP],
        [Resize(scale=(224, 224))],  # of OpenCV
        [Resize(scale_factor=0.5, **PILLOW)],
        [Resize(scale=(224, 224), keep_ratio=True, **PILLOW)],
        [ResizeEdge(scale=256, edge='long', **PILLOW), CROP],
        [ResizeEdge(scale=200, **PILLOW), CROP],
        [SHORT, SQUASH],
    ],
)
def test_other_steps_are_not_told(steps):
    assert resize_facts([*steps, PackInputs()], (224, 224)) is None
