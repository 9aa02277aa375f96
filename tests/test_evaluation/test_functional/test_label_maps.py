"""Masks from pixels to the grid and back."""

import numpy as np
import pytest
import torch
from PIL import Image

from lore_mm.evaluation.functional.label_maps import (
    enlarge_maps,
    resize_nearest,
    shrink_mask,
)


@pytest.mark.parametrize('seed', range(40))
def test_nearest_as_pillow(seed):
    rng = np.random.default_rng(seed)
    old, new = rng.integers(1, 900, (2, 2))
    mask = rng.integers(0, 255, old, dtype=np.uint8)
    expected = Image.fromarray(mask).resize(
        new[::-1].tolist(), Image.Resampling.NEAREST
    )
    assert np.array_equal(resize_nearest(mask, tuple(new)), expected)


def test_shrink_gives_one_map_per_id():
    mask = np.zeros((8, 12), dtype=np.uint8)
    mask[:4, :6], mask[6:, 10:] = 1, 3
    maps = shrink_mask(mask, (4, 6))
    assert maps.shape == (4, 4, 6)
    assert maps.sum(0).eq(1).all()
    assert maps[1, :2, :3].eq(1).all()
    assert maps[1].sum() == 6
    assert not maps[2].any()
    assert maps[3].nonzero().tolist() == [[3, 5]]


def test_bilinear_shrink_is_soft():
    mask = np.zeros((4, 4), dtype=np.uint8)
    mask[:, 1] = 1
    maps = shrink_mask(mask, (2, 2), 'bilinear')
    assert maps[1].tolist() == [[0.5, 0], [0.5, 0]]
    assert maps.sum(0).eq(1).all()


def test_enlarge_by_the_patch():
    maps = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    found = enlarge_maps(maps, (3, 8), patch_size=3)
    assert found.shape == (3, 8)
    assert found[0].tolist() == [0] * 4 + [1] * 4


def test_min_max_lifts_a_weak_object():
    maps = torch.tensor([[[0.9, 0.6]], [[0.1, 0.4]]])
    plain = enlarge_maps(maps, (1, 2), 'nearest', min_max=False)
    lifted = enlarge_maps(maps, (1, 2), 'nearest')
    assert plain.tolist() == [[0, 0]]
    assert lifted.tolist() == [[0, 1]]


def test_object_that_vanished_or_fills_the_frame():
    maps = torch.stack([torch.ones(2, 3), torch.zeros(2, 3)])
    assert not enlarge_maps(maps, (4, 6), patch_size=2).any()
    assert (enlarge_maps(maps.flip(0), (4, 6), patch_size=2) == 1).all()


def test_first_id_wins_a_tie():
    maps = torch.full((3, 2, 2), 1 / 3)
    found = enlarge_maps(maps, (2, 2), 'bilinear', min_max=False)
    assert not found.any()


def test_more_than_256_ids():
    maps = torch.eye(300).view(300, 15, 20)
    found = enlarge_maps(maps, (15, 20), 'nearest')
    assert np.array_equal(found, np.arange(300).reshape(15, 20))
