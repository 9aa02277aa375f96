"""Segmentors small enough for seconds."""

import pytest
from mmengine.registry import DefaultScope

from lore_mm.registry import MODELS


@pytest.fixture
def tiny_backbone():
    """Config of a LOREViT with random weights and patches of 16 pixels."""

    def make(white_box=None, **options):
        return dict(
            type='lore_mm.LOREViT',
            black_box=dict(
                type='lore_mm.TimmBlackBox',
                model_name='test_vit',
                **{'img_size': 64, **options},
            ),
            white_box=white_box,
            out_type='featmap',
        )

    return make


@pytest.fixture
def make_propagator(tiny_backbone):
    """``make(white_box=None, **options)``: a LabelPropagator."""

    def make(white_box=None, box=None, frames=None, **options):
        config = dict(
            type='lore_mm.LabelPropagator',
            backbone=tiny_backbone(white_box, **(box or {})),
            data_preprocessor=dict(
                type='lore_mm.FramePreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.14, 57.12, 57.375],
                **{'short_side': 64, 'multiple': 16, **(frames or {})},
            ),
        )
        with DefaultScope.overwrite_default_scope('mmseg'):
            return MODELS.build({**config, **options}).eval()

    return make
