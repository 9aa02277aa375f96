"""The segmentor: backbone, frames one by one, masks."""

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from lore_mm.evaluation.functional import propagate_labels
from lore_mm.models.segmentors import MaskSequence
from lore_mm.registry import MODELS

SIZE = (70, 110)
WHITE_BOX = dict(type='lore_mm.WhiteBox', preset='released')


def video(length: int = 4, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Frames whose scene moves to the left."""
    rng = np.random.default_rng(0)
    wide = (size[0], size[1] + 8 * length, 3)
    scene = rng.integers(0, 255, wide, dtype=np.uint8)
    return [scene[:, 8 * i : 8 * i + size[1]] for i in range(length)]


def first_mask(size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, dtype=np.uint8)
    mask[10:40, 30:60], mask[45:, 50:100] = 1, 2
    return mask


def sample(mask: np.ndarray) -> SegDataSample:
    data = PixelData(data=torch.from_numpy(mask)[None])
    return SegDataSample(gt_sem_seg=data)


@pytest.mark.parametrize('white_box', [None, WHITE_BOX])
def test_masks_are_those_of_the_function(make_propagator, white_box):
    model = make_propagator(white_box, propagation=dict(context=2, window=3))
    frames, mask = video(), first_mask()
    (found,) = model.test_step(
        dict(inputs=[frames], data_samples=[sample(mask)])
    )
    with torch.no_grad():
        inputs = [model.data_preprocessor.frame(each) for each in frames]
        features = torch.cat([model.extract_feat(each) for each in inputs])
    assert features.shape == (4, 64, 4, 6)
    expected = propagate_labels(features, mask, 16, context=2, window=3)
    assert np.array_equal(np.stack(list(found.pred_masks)), expected)
    assert expected[-1].any()


def test_prompts_and_prefix_are_dropped(make_propagator):
    """Patch tokens alone, whatever else the ViT carries."""
    model = make_propagator(WHITE_BOX)
    feature = model(torch.rand(2, 3, 48, 80))
    assert feature.shape == (2, 64, 3, 5)
    assert model.backbone.out_type == 'featmap'


def test_frames_are_streamed(make_propagator):
    model = make_propagator()
    asked = []

    def frames():
        for each in video():
            asked.append(len(asked))
            yield each

    for index, _ in enumerate(model.propagate(frames(), first_mask())):
        assert asked[-1] == index


@pytest.mark.parametrize('size', [(70, 110), (110, 70)])
def test_patch_of_14(make_propagator, size):
    model = make_propagator(
        box=dict(patch_size=14, img_size=56),
        frames=dict(short_side=64, multiple=14, round_short=True),
    )
    found = list(model.propagate(video(3, size), first_mask(size)))
    assert [mask.shape for mask in found] == [size] * 3
    inputs = model.data_preprocessor.frame(video(1, size)[0])
    assert min(inputs.shape[2:]) == 56
    assert max(inputs.shape[2:]) == 84


def test_size_that_the_patch_does_not_divide(make_propagator):
    model = make_propagator(box=dict(patch_size=14, img_size=56))
    with pytest.raises(ValueError, match='multiples of the patch size 14'):
        list(model.propagate(video(), first_mask()))


def test_autocast_leaves_the_cosines_alone(make_propagator):
    model = make_propagator()
    with torch.autocast('cpu', torch.bfloat16):
        found = list(model.propagate(video(), first_mask()))
    exact = list(model.propagate(video(), first_mask()))
    same = np.mean(np.stack(found) == np.stack(exact))
    assert same > 0.8
    assert len(found) == 4


def test_any_backbone_with_feature_maps():
    """A plain convolution in the place of the ViT."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(
            dict(
                type='lore_mm.LabelPropagator',
                backbone=torch.nn.Conv2d(3, 8, 8, 8),
                data_preprocessor=dict(
                    type='lore_mm.FramePreprocessor',
                    mean=[127.5] * 3,
                    std=[127.5] * 3,
                    short_side=64,
                ),
            )
        )
    assert len(list(model.propagate(video(), first_mask()))) == 4


def test_mask_of_another_size(make_propagator):
    with pytest.raises(ValueError, match=r"frame 0 of 'dog' has 70 x 110.*35"):
        list(make_propagator().propagate(video(), first_mask()[:35], 'dog'))


def test_frame_of_another_size(make_propagator):
    frames = video()
    frames[2] = frames[2][:, :-1]
    with pytest.raises(ValueError, match="frame 2 of 'video' has 70 x 109"):
        list(make_propagator().propagate(frames, first_mask()))


def test_wrong_option(make_propagator):
    with pytest.raises(ValueError, match='top_k must be at least 1'):
        make_propagator(propagation=dict(top_k=0))
    with pytest.raises(TypeError, match='windoww'):
        make_propagator(propagation=dict(windoww=3))


def test_nothing_to_train(make_propagator):
    model = make_propagator()
    with pytest.raises(ValueError, match='nothing to train'):
        model(torch.rand(1, 3, 64, 64), [], mode='loss')
    with pytest.raises(ValueError, match='segments videos'):
        model.encode_decode(torch.rand(1, 3, 64, 64), [])


def test_mask_sequence():
    masks = MaskSequence()
    kept = [first_mask() * i for i in range(3)]
    for mask in kept:
        masks.append(mask)
    assert len(masks) == 3
    assert all(np.array_equal(a, b) for a, b in zip(masks, kept, strict=True))
    assert np.array_equal(masks[-1], kept[-1])
    assert sum(len(packed[0]) for packed in masks._packed) < kept[0].size / 4
    assert repr(masks) == 'MaskSequence(3 masks)'
