"""Single points against the whole interpolated map."""

import pytest
import torch
import torch.nn.functional as F

from lore_mm.models.matchers import matching
from lore_mm.models.matchers.matching import (
    ImageFeatures,
    best_pixels,
    interpolation,
    locate,
    match_points,
    pixel_norms,
    read_at,
)


def tokens(h, w, dims=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(dims, h, w, generator=generator)


def image(h, w, patch, readout, seed=0):
    value, size = tokens(h, w, seed=seed), (h * patch, w * patch)
    norms = None
    if readout == 'bilinear-cosine':
        norms = pixel_norms(value, size)
    else:
        value = F.normalize(value, dim=0)
    return ImageFeatures(value, size, (1.0, 1.0), size[::-1], norms)


def whole(value, size):
    """The interpolated features (C, H, W), as a plain evaluator makes them."""
    return F.interpolate(value[None].double(), size=size, mode='bilinear')[0]


@pytest.mark.parametrize('number,size', [(5, 35), (4, 7), (1, 6), (9, 5)])
def test_interpolation_is_that_of_torch(number, size):
    values = torch.randn(1, 3, number)
    wanted = F.interpolate(values, size=size, mode='linear')
    found = values @ interpolation(number, size, torch.device('cpu')).t()
    torch.testing.assert_close(found, wanted)


def test_beyond_the_last_centre_pixels_are_exactly_equal():
    rows = interpolation(3, 24, torch.device('cpu')).tolist()
    assert rows[:4] == [[1, 0, 0]] * 4
    assert rows[-4:] == [[0, 0, 1]] * 4


def test_reading_a_point():
    value = tokens(4, 6)
    cells = torch.tensor([[0.5, 0.5], [1.5, 2.5], [2.0, 0.5], [1.75, 1.25]])
    found = read_at(value, cells)
    assert found[0].equal(value[:, 0, 0])
    assert found[1].equal(value[:, 2, 1])
    torch.testing.assert_close(found[2], (value[:, 0, 1] + value[:, 0, 2]) / 2)
    grid = cells / torch.tensor([6, 4]) * 2 - 1
    wanted = F.grid_sample(value[None], grid[None, None], align_corners=False)[
        0, :, 0
    ].t()
    torch.testing.assert_close(found, wanted)


def test_points_on_the_border_read_the_nearest_patch():
    value = tokens(4, 6)
    cells = torch.tensor([[0.0, 0.0], [6.0, 4.0], [6.0, 0.5], [0.5, 4.0]])
    found = read_at(value, cells.double())
    corners = [(0, 0), (3, 5), (0, 5), (3, 0)]
    for each, (i, j) in zip(found, corners, strict=True):
        assert each.equal(value[:, i, j])


@pytest.mark.parametrize('h,w', [(3, 5), (1, 4), (6, 1)])
def test_norms_of_pixels(h, w):
    value, size = tokens(h, w), (h * 8, w * 8)
    wanted = whole(value, size).norm(dim=0).float()
    torch.testing.assert_close(pixel_norms(value, size), wanted)


@pytest.mark.parametrize('readout', ['bilinear-argmax', 'bilinear-cosine'])
@pytest.mark.parametrize('h,w', [(14, 14), (5, 9)])
def test_same_pixel_as_the_whole_map(readout, h, w):
    source, target = (image(h, w, 8, readout, seed) for seed in (1, 2))
    cells = torch.rand(40, 2, dtype=torch.float64) * torch.tensor([w, h])
    queries = F.normalize(read_at(source.tokens, cells).double(), dim=1)
    full = whole(target.tokens, target.size).flatten(1)
    if readout == 'bilinear-cosine':
        full = full / full.norm(dim=0)
    values, index = (queries @ full).max(1)
    found, cosines, _ = match_points(source, target, cells, readout)
    pixel = (found * 8).floor().long()
    ours = pixel[:, 1] * w * 8 + pixel[:, 0]
    # Where rounding decides, the values are equal.
    gap = (queries @ full).gather(1, ours[:, None])[:, 0] - values
    assert gap.abs().max() < 1e-6
    assert (ours == index).double().mean() > 0.8
    torch.testing.assert_close(cosines, values.float())


def test_maxima_between_patches():
    """Only the cosine at pixels can find a point between two patches."""
    value = torch.zeros(2, 1, 2)
    value[0, 0, 0] = value[1, 0, 1] = 1
    query = torch.tensor([[1.0, 1.0]])
    size = (1, 9)
    norms = pixel_norms(value, size)
    found, cosine = locate(
        query,
        ImageFeatures(value, size, (1, 1), (9, 1), norms),
        'bilinear-cosine',
    )
    assert found[0, 0] == 1.0  # the border of the two cells
    assert cosine[0] == pytest.approx(1)


def test_first_of_equal_pixels():
    maps = torch.zeros(1, 3, 3)
    maps[0, 0, 0] = 1
    found, _ = best_pixels(maps, (24, 24))
    assert (found * 8).tolist() == [[0.5, 0.5]]
    maps = maps.flip(1, 2)
    found, _ = best_pixels(maps, (24, 24))
    assert (found * 8).tolist() == [[20.5, 20.5]]


def test_patch_centre():
    value = F.normalize(tokens(4, 6), dim=0)
    target = ImageFeatures(value, (32, 48), (1, 1), (48, 32))
    found, cosine = locate(value[:, 2, 5][None] * 7, target, 'patch-centre')
    assert found.tolist() == [[5.5, 2.5]]
    assert cosine[0] == pytest.approx(1)


@pytest.mark.parametrize('readout', matching.READOUTS)
def test_an_image_matches_itself(readout):
    same = image(6, 7, 8, readout)
    y, x = torch.meshgrid(torch.arange(6), torch.arange(7), indexing='ij')
    cells = torch.stack([x.ravel(), y.ravel()], 1).double() + 0.5
    found, _, mutual = match_points(same, same, cells, readout, 1.0)
    assert (found - cells).abs().max() <= 0.5
    assert mutual.all()


def test_mutual_is_what_comes_back():
    """Two source patches go to one target patch; it goes back to one."""
    one, other = torch.eye(4)[:, 0], torch.eye(4)[:, 1]
    near = F.normalize(one + 0.5 * other, dim=0)
    source = torch.zeros(4, 1, 8)
    source[:, 0, 0], source[:, 0, 7] = one, near
    target = torch.zeros(4, 1, 8)
    target[:, 0, 3] = one
    images = [
        ImageFeatures(t, (8, 64), (1, 1), (64, 8)) for t in (source, target)
    ]
    cells = torch.tensor([[0.5, 0.5], [7.5, 0.5]], dtype=torch.float64)
    found, _, mutual = match_points(*images, cells, 'patch-centre', 1.0)
    assert found[:, 0].tolist() == [3.5, 3.5]
    assert mutual.tolist() == [True, False]
    _, _, mutual = match_points(*images, cells, 'patch-centre', 7.0)
    assert mutual.tolist() == [True, True]
    _, _, mutual = match_points(*images, cells, 'patch-centre')
    assert mutual is None


def test_maps_are_made_in_parts(monkeypatch):
    maps = torch.randn(7, 5, 5)
    whole_found = best_pixels(maps, (20, 20))
    seen = []

    class Rows(torch.Tensor):
        def __matmul__(self, part):
            seen.append(len(part))
            return self.as_subclass(torch.Tensor) @ part

    rows = matching.interpolation
    monkeypatch.setattr(matching, '_MAX_PIXELS', 3 * 20 * 20)
    monkeypatch.setattr(
        matching, 'interpolation', lambda *a: rows(*a).as_subclass(Rows)
    )
    found = best_pixels(maps, (20, 20))
    assert seen == [3, 3, 1]
    for ours, wanted in zip(found, whole_found, strict=True):
        torch.testing.assert_close(ours, wanted)
