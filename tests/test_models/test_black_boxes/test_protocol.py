"""What every Black Box promises, family by family."""

import copy

import pytest
import torch
from mmengine.model import BaseModule
from torch import nn

# patches in height and width: native, another square, neither square
GRIDS = [(4, 4), (6, 6), (3, 5)]


@pytest.mark.parametrize('grid', GRIDS)
@torch.no_grad()
def test_forward_equals_library(case, grid):
    img = case.image(*grid)
    tokens = case.black_box(img)
    number = case.black_box.num_prefix_tokens + grid[0] * grid[1]
    assert tokens.shape == (2, number, case.black_box.embed_dims)
    if case.resizes or grid == (4, 4):
        assert torch.equal(tokens, case.library(img))
    # a second pass reads the positions that the first one kept
    assert torch.equal(tokens, case.black_box(img))


def test_facts(case):
    black_box = case.black_box
    assert len(black_box.blocks) == black_box.num_layers
    assert len(black_box.mean) == len(black_box.std) == 3
    assert all(1 < value < 255 for value in (*black_box.mean, *black_box.std))
    cls_token = torch.randn(2, black_box.embed_dims)
    assert black_box.project(cls_token).shape == (2, black_box.out_dims)
    tokens = torch.randn(2, 7, black_box.embed_dims)
    changed = not torch.equal(black_box.pre_norm(tokens), tokens)
    assert changed == black_box.has_pre_norm
    assert type(black_box).__name__ in black_box.describe()


def test_projection_of_clip(make_case):
    for family in ('clip', 'open-clip'):
        black_box = make_case(family).black_box
        assert black_box.has_projection
        assert black_box.out_dims == 20
    for family in ('vit', 'dinov2', 'mm-clip'):
        black_box = make_case(family).black_box
        assert not black_box.has_projection
        assert black_box.out_dims == black_box.embed_dims


def test_frozen_stays_in_eval_mode(case):
    black_box = case.black_box
    parent = nn.Sequential(black_box)
    parent.train()
    assert parent.training
    assert not any(module.training for module in black_box.modules())
    assert not any(p.requires_grad for p in black_box.parameters())
    total = sum(p.numel() for p in black_box.parameters())
    assert black_box.num_frozen == total > 0


def test_gradients_reach_what_is_before_the_frozen_vit(case):
    img = case.image().requires_grad_()
    case.black_box(img).square().sum().backward()
    assert img.grad.abs().sum() > 0
    assert all(p.grad is None for p in case.black_box.parameters())


def test_not_frozen_trains(make_case, family):
    black_box = make_case(family, frozen=False).black_box.train()
    assert all(module.training for module in black_box.modules())
    assert black_box.num_frozen == 0
    black_box(make_case(family).image(3, 5)).square().sum().backward()
    assert black_box.position_table.grad.abs().sum() > 0
    with torch.no_grad():
        before = black_box.positions((3, 5)).clone()
        black_box.position_table.add_(1.0)
        assert not torch.equal(black_box.positions((3, 5)), before)


def test_init_weights_of_a_parent_leaves_the_weights(case):
    class Parent(BaseModule):
        def __init__(self) -> None:
            super().__init__()
            self.black_box = case.black_box

    before = case.black_box.fingerprint()
    Parent().init_weights()
    assert case.black_box.fingerprint() == before


def test_fingerprint_is_of_the_weights(case):
    black_box = case.black_box
    twin = copy.deepcopy(black_box)
    assert twin.fingerprint() == black_box.fingerprint()
    black_box(case.image(3, 5))  # what a forward pass keeps is no weight
    assert twin.fingerprint() == black_box.fingerprint()
    with torch.no_grad():
        next(twin.blocks[-1].parameters()).view(-1)[0] += 1e-3
    assert twin.fingerprint() != black_box.fingerprint()


@torch.no_grad()
def test_loading_other_weights_is_noticed(make_case, family):
    case, other = make_case(family), make_case(family)
    img = case.image(3, 5)
    for parameter in other.black_box.parameters():
        parameter.mul_(1.5)
    before = case.black_box.fingerprint()
    case.black_box(img)
    case.black_box.load_state_dict(other.black_box.state_dict())
    assert torch.equal(case.black_box(img), other.black_box(img))
    assert case.black_box.fingerprint() != before


def test_inference_mode_does_not_spoil_training(case):
    with torch.inference_mode():
        case.black_box(case.image(3, 5))
    prompt = torch.zeros(1, requires_grad=True)
    patches, grid = case.black_box.patchify(case.image(3, 5))
    tokens = case.black_box.embed(patches + prompt, grid)
    assert not case.black_box.positions(grid).is_inference()
    tokens.square().sum().backward()
    assert prompt.grad is not None


def test_casting_is_noticed(case):
    case.black_box(case.image(3, 5))
    case.black_box.double()
    img = case.image(3, 5).double()
    assert case.black_box(img).dtype == torch.float64


def test_positions_of_few_sizes_are_kept(case):
    for width in range(1, 40):
        case.black_box.positions((1, width))
    assert len(case.black_box._positions) < 20


@pytest.mark.parametrize('sides', [(1, 0), (0, 1)])
def test_size_that_is_no_multiple_of_the_patch(case, sides):
    img = case.image()
    pad = nn.functional.pad(img, (0, sides[0], 0, sides[1]))
    with pytest.raises(
        ValueError,
        match=f'multiples of the patch size {case.black_box.patch_size}, got '
        f'{pad.shape[2]} x {pad.shape[3]}',
    ):
        case.black_box(pad)
