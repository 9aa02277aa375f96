"""FeatureExtractor: LORE or the bare Black Box, by one key."""

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config

from lore_mm.apis import FeatureExtractor, init_model
from lore_mm.engine import ConfigError


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (3, 64, 96, 3), np.uint8))


def normalised(images):
    img = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    return (img - 127.5) / 127.5


def test_shapes_and_values(checkpoint, images):
    raw = FeatureExtractor(checkpoint, out_type='raw')(images, batch_size=2)
    maps = FeatureExtractor(checkpoint, out_type='featmap')(images)
    cls = FeatureExtractor(checkpoint)(images)
    assert len(raw) == len(maps) == len(cls) == 3
    assert raw[0].shape == (1 + 24, 64)
    assert maps[0].shape == (64, 4, 6)
    assert cls[0].shape == (64,)
    for one, two, three in zip(raw, maps, cls, strict=True):
        patches = two.flatten(1).T
        torch.testing.assert_close(one[1:], patches, atol=1e-5, rtol=0)
        torch.testing.assert_close(one[0], three, atol=1e-5, rtol=0)
    model = init_model(checkpoint)
    with torch.no_grad():
        wanted = model.backbone(normalised(images)).cls_token
    torch.testing.assert_close(torch.stack(cls), wanted, atol=1e-5, rtol=0)


def test_the_bare_black_box_by_one_key(
    classifier_config, checkpoint, images, vit_file
):
    lore = FeatureExtractor(checkpoint, out_type='raw')(images)
    options = dict(img_size=64, depth=2, num_classes=0, dynamic_img_size=True)
    vit = timm.create_model('test_vit', checkpoint_path=vit_file, **options)
    with torch.no_grad():
        wanted = vit.eval().forward_features(normalised(images))
    for bare in (
        FeatureExtractor(checkpoint, out_type='raw', white_box=False),
        FeatureExtractor(
            classifier_config, checkpoint, 'raw', white_box=False
        ),
        FeatureExtractor(classifier_config, out_type='raw'),
    ):
        assert bare.model.backbone.white_box is None
        found = torch.stack(bare(images))
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert (torch.stack(lore) - wanted).abs().max() > 1e-3


def test_what_is_no_classifier(classifier_config, checkpoint):
    with pytest.raises(ValueError, match="out_type must be .* got 'lore'"):
        FeatureExtractor(checkpoint, out_type='lore')
    cfg = Config.fromfile(classifier_config)
    cfg.model.data_preprocessor.type = 'lore_mm.FramePreprocessor'
    with pytest.raises(ConfigError, match='a classifier, .*FramePreproc'):
        FeatureExtractor(cfg)
    cfg.model.backbone = dict(type='ResNet', depth=18)
    with pytest.raises(ConfigError, match="around a Black Box, got 'ResNet'"):
        FeatureExtractor(cfg)
