"""Label propagation against a plain one that forms the full affinity."""

from collections import deque
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lore_mm.evaluation.functional import (
    LabelPropagation,
    affinity,
    boundary_accuracy,
    iter_masks,
    propagate_labels,
    region_similarity,
)

PATCH = 4


def plain_window(grid: tuple[int, int], window: float, circle: bool) -> Tensor:
    place = torch.cartesian_prod(*[torch.arange(side) for side in grid])
    apart = (place[:, None] - place).double()
    away = apart.norm(dim=-1) if circle else apart.abs().amax(-1)
    return (away <= window).float()


def plain_step(frame, context, inside, top_k, temperature):
    """Labels (K, n) of a frame (C, n) from pairs of features and labels."""
    keys = torch.cat([feature for feature, _ in context], dim=1)
    labels = torch.cat([label for _, label in context], dim=1)
    weights = torch.exp(frame.T @ keys / temperature) * inside
    least = weights.topk(top_k, dim=1).values[:, -1:]
    weights = torch.where(weights < least, 0, weights)
    return labels @ (weights / weights.sum(1, keepdim=True)).T


def plain_masks(
    features: Tensor,
    mask: np.ndarray,
    patch: int,
    context: int = 7,
    window: float = 12,
    window_shape: str = 'square',
    window_first: bool = True,
    top_k: int = 5,
    temperature: float = 0.1,
    pad_context: bool = False,
) -> np.ndarray:
    grid = tuple(features.shape[2:])
    inside = plain_window(grid, window, window_shape == 'circle')
    flat = F.normalize(features.flatten(2), dim=1)
    small = np.array(Image.fromarray(mask).resize(grid[::-1], 0)).ravel()
    ids = np.arange(mask.max() + 1)[:, None]
    first = flat[0], torch.from_numpy(small == ids).float()
    recent = deque([first] * context if pad_context else [], maxlen=context)
    masks = [mask]
    for frame in flat[1:]:
        of_first = inside if window_first else torch.ones_like(inside)
        around = torch.cat([of_first, *[inside] * len(recent)], dim=1)
        used = [first, *recent]
        labels = plain_step(frame, used, around, top_k, temperature)
        recent.append((frame, labels))
        wide = F.interpolate(
            labels.view(1, -1, *grid), scale_factor=patch, mode='bilinear'
        )[0]
        for each in wide:
            if each.max() > 0:
                each.sub_(each.min())
                each.div_(each.max())
        found = Image.fromarray(wide.argmax(0).byte().numpy())
        masks.append(np.array(found.resize(mask.shape[::-1], 0)))
    return np.stack(masks)


def moving_video(
    length: int, grid: tuple[int, int], channels: int = 16, seed: int = 0
) -> Tensor:
    """Features (T, C, h, w) that drift to the left, with noise."""
    rng = torch.Generator().manual_seed(seed)
    height, width = grid
    scene = torch.randn(channels, height, width + length, generator=rng)
    frames = [scene[:, :, t : t + width] for t in range(length)]
    noise = torch.randn(length, channels, *grid, generator=rng)
    return torch.stack(frames) + 0.3 * noise


def objects(size: tuple[int, int]) -> np.ndarray:
    """Two objects that together take a good part of the image."""
    mask = np.zeros(size, dtype=np.uint8)
    height, width = size
    mask[height // 4 : height // 2, width // 4 : width // 2] = 1
    mask[height // 2 :, width // 2 : -width // 8] = 2
    return mask


@pytest.mark.parametrize(
    'grid,size',
    [((12, 30), (50, 121)), ((30, 9), (125, 40)), ((17, 17), (70, 70))],
    ids=['wide', 'portrait', 'square'],
)
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(window=4),
        dict(window=4.5, window_shape='circle', top_k=3, temperature=0.2),
        dict(window=3, window_first=False, context=3, pad_context=True),
        dict(context=0, top_k=1),
    ],
)
def test_same_pixels_as_the_full_affinity(grid, size, options):
    features, mask = moving_video(12, grid), objects(size)
    found = propagate_labels(features, mask, PATCH, **options)
    assert np.array_equal(found, plain_masks(features, mask, PATCH, **options))
    assert found.dtype == np.uint8
    assert set(np.unique(found[-1])) == {0, 1, 2}


@pytest.mark.parametrize(
    'name,similarity,accuracy',
    [
        ('car-shadow', 0.394577, 0.284311),
        ('drift-straight', 0.057733, 0.144099),
    ],
)
def test_pixel_features(real_data, name, similarity, accuracy):
    """The figures of the reference on DAVIS frames."""
    root = real_data / 'DAVIS'
    labels = sorted((root / 'Annotations/480p' / name).iterdir())
    gt = np.stack([np.array(Image.open(path)) for path in labels])
    frames = sorted((root / 'JPEGImages/480p' / name).iterdir())
    masks = propagate_labels(map(pixel_features, frames), gt[0], 16)
    pair = masks[1:-1] == 1, gt[1:-1] == 1
    assert region_similarity(*pair).mean() == pytest.approx(
        similarity, abs=1e-6
    )
    assert boundary_accuracy(*pair).mean() == pytest.approx(accuracy, abs=1e-6)


def pixel_features(path: Path) -> Tensor:
    """48 values for each patch of 16 pixels, in a frame of 480 x 832."""
    image = cv2.resize(np.array(Image.open(path)), (832, 480))
    image = torch.from_numpy(image).permute(2, 0, 1) / 255
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.228, 0.224, 0.225])[:, None, None]
    small = F.avg_pool2d((image - mean) / std, 4)
    return F.unfold(small[None], 4, stride=4).view(48, 30, 52)


def test_equal_affinities_are_all_kept():
    """A plain ground gives many equal cosines, not only the top k."""
    features = torch.ones(5, 3, 10, 14)
    features[:, 0, 2:5, 3:7] = -1
    mask = objects((40, 56))
    found = propagate_labels(features, mask, PATCH, window=4)
    assert np.array_equal(found, plain_masks(features, mask, PATCH, window=4))


def test_window_with_fewer_cells_than_top_k():
    features, mask = moving_video(4, (6, 8)), objects((24, 32))
    options = dict(window=0, top_k=5)
    found = propagate_labels(features, mask, PATCH, **options)
    assert np.array_equal(found, plain_masks(features, mask, PATCH, **options))
    # A cell sees itself alone: nothing moves.
    grid = propagate_labels(
        features, mask, PATCH, **options, enlarge='nearest'
    )
    assert (grid[1:] == mask).mean() > 0.9


@pytest.mark.parametrize('top_k', [4, 5, 9])
def test_frames_with_fewer_cells_than_top_k(top_k):
    """All of them are used, as if top_k were their number."""
    features = torch.randn(1, 8, 2, 2, generator=torch.manual_seed(0))
    features = features.repeat(2, 1, 1, 1)
    mask = np.array([[0, 1], [2, 3]], np.uint8).repeat(4, 0).repeat(4, 1)
    options = dict(context=0, temperature=0.1)
    found = LabelPropagation(top_k=top_k, **options)
    wanted = LabelPropagation(top_k=4, **options)
    for each in (found, wanted):
        each.start(features[0], mask)
    maps = found.step(features[1])
    torch.testing.assert_close(maps, wanted.step(features[1]))
    torch.testing.assert_close(maps.sum(0), torch.ones(2, 2))


def test_more_than_255_frames():
    features, mask = moving_video(3, (6, 8)), objects((24, 32))
    long = features[torch.arange(300) % 3]
    found = propagate_labels(long, mask, PATCH, context=2)
    assert found.shape == (300, 24, 32)
    assert np.array_equal(found, plain_masks(long, mask, PATCH, context=2))


def test_frames_are_streamed():
    """A mask is there before the next frame is asked for."""
    asked = []

    def frames():
        for index, each in enumerate(moving_video(5, (6, 8))):
            asked.append(index)
            yield each

    for index, _ in enumerate(iter_masks(frames(), objects((24, 32)), PATCH)):
        assert asked[-1] == index


def test_memory_does_not_grow_with_the_video():
    propagation = LabelPropagation(context=3)
    features = moving_video(2, (6, 8))
    propagation.start(features[0], objects((24, 32)))
    for _ in range(20):
        propagation.step(features[1])
    assert propagation._features.shape[0] == 4
    assert propagation._labels.shape == (4, 48, 3)


def test_window_is_built_once():
    affinity.build_window.cache_clear()
    for seed in range(3):
        features = moving_video(4, (7, 11), seed=seed)
        propagate_labels(features, objects((28, 44)), PATCH)
    found = affinity.build_window.cache_info()
    assert (found.misses, found.hits) == (1, 8)


def test_blocks_cover_the_window():
    """Together the blocks hold each pair inside the window once."""
    grid = (13, 29)
    pairs = torch.zeros(13 * 29, 13 * 29)
    cells = torch.arange(13 * 29).view(grid)
    for block in affinity.build_window(grid, 3, 'square'):
        queries = cells[block.queries].flatten()
        pairs[queries[:, None], block.cells] += (~block.outside).float()
    assert torch.equal(pairs, plain_window(grid, 3, circle=False))


@pytest.mark.parametrize('n', [3, 7, 200, 1000, 1023])
@pytest.mark.parametrize('k', [1, 6])
def test_top_values(n, k):
    rng = torch.Generator().manual_seed(n)
    values = torch.randint(0, 500, (20, n), generator=rng).float()
    found, index = affinity.top_values(values, k)
    assert torch.equal(found, values.topk(min(k, n)).values)
    assert torch.equal(values.gather(1, index), found)
    assert all(len(set(row)) == min(k, n) for row in index.tolist())


def test_one_frame_is_the_mask():
    mask = objects((24, 32))
    found = propagate_labels(moving_video(1, (6, 8)), mask, PATCH)
    assert np.array_equal(found, mask[None])


def test_half_precision_features():
    features, mask = moving_video(4, (6, 8)), objects((24, 32))
    found = propagate_labels(features.bfloat16(), mask, PATCH)
    assert found.shape == (4, 24, 32)


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(context=-1), 'context must be at least 0, got -1'),
        (dict(window=-2), 'window must be None or >= 0, got -2'),
        (dict(window_shape='star'), "window_shape must be one of .*'star'"),
        (dict(top_k=0), 'top_k must be at least 1, got 0'),
        (dict(temperature=0), 'temperature must be above 0, got 0'),
        (dict(shrink='area'), "shrink must be one of .* got 'area'"),
        (dict(enlarge='cubic'), "enlarge must be one of .* got 'cubic'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        LabelPropagation(**options)


def test_bad_input():
    features, mask = moving_video(2, (6, 8)), objects((24, 32))
    with pytest.raises(ValueError, match='at least one frame'):
        propagate_labels([], mask, PATCH)
    with pytest.raises(ValueError, match=r'features must be \(C, h, w\)'):
        propagate_labels(features[0], mask, PATCH)
    with pytest.raises(ValueError, match='mask must hold integers'):
        propagate_labels(features, mask.astype(float), PATCH)
    with pytest.raises(ValueError, match='ids >= 0, got -1'):
        propagate_labels(features, mask.astype(int) - 1, PATCH)
    other = [features[0], features[1, :, :-1]]
    with pytest.raises(ValueError, match='the features of frame 0'):
        propagate_labels(other, mask, PATCH)
    with pytest.raises(ValueError, match='must be finite'):
        propagate_labels(features / 0, mask, PATCH)
    with pytest.raises(ValueError, match='call start'):
        LabelPropagation().step(features[0])
