"""The tiny Black Boxes of every family, beside small White Boxes."""

import copy
import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from lore_mm.models import LOREViT

# By its path: another package may be named `tests`.
_FILE = Path(__file__).parents[1] / 'test_black_boxes' / 'conftest.py'
_SPEC = importlib.util.spec_from_file_location('tiny_black_boxes', _FILE)
_CASES = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _CASES
_SPEC.loader.exec_module(_CASES)

tiny_open_clip = _CASES.tiny_open_clip
make_case = _CASES.make_case
pytest_generate_tests = _CASES.pytest_generate_tests


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope='module')
def _black_boxes():
    return {}


@pytest.fixture
def black_box(family, make_case, _black_boxes):
    """The frozen Black Box of a family, shared by the tests of a file."""
    if family not in _black_boxes:
        _black_boxes[family] = make_case(family).black_box
    return _black_boxes[family]


@pytest.fixture
def plain_vit(make_case):
    """A frozen ViT of timm, float32, of the test's own."""
    return make_case('vit').black_box


@pytest.fixture
def make_image():
    """Factory of images (B, 3, h, w) in patches of a Black Box."""

    def make(black_box, height=3, width=4, batch=3):
        dtype = next(black_box.parameters()).dtype
        size = black_box.patch_size
        return torch.randn(batch, 3, height * size, width * size, dtype=dtype)

    return make


@pytest.fixture
def make_model():
    """Factory of LOREViT without dropout: White Box by keywords."""

    def make(black_box, out_type='cls_token', double=False, **white_box):
        if double:
            black_box = copy.deepcopy(black_box).double()
        cfg = dict(type='lore_mm.WhiteBox', drop_rate=0.0, k=4, hidden_dims=6)
        model = LOREViT(black_box, {**cfg, **white_box}, out_type)
        return model.double() if double else model

    return make


def reference(
    black_box,
    img,
    prompts,
    deep=True,
    start=0,
    before_pre_norm=True,
    early=None,
):
    """Tokens after the last norm, with prompts put in by hand.

    ``prompts`` (B, L, M, C) are those of the blocks from ``start`` on;
    ``early`` (start, G, C) those of the blocks before, where there are any.
    """
    num_prefix = black_box.num_prefix_tokens
    tokens = black_box.embed(*black_box.patchify(img))

    def put(tokens, own):
        parts = tokens[:, :num_prefix], own, tokens[:, num_prefix:]
        return torch.cat(parts, dim=1)

    def cut(tokens, own):
        first = num_prefix + own.shape[1]
        parts = tokens[:, :num_prefix], tokens[:, first:]
        return torch.cat(parts, dim=1)

    if start == 0 and before_pre_norm:
        tokens = black_box.pre_norm(put(tokens, prompts[:, 0]))
    else:
        normed = black_box.pre_norm(tokens)
        for i, block in enumerate(black_box.blocks[:start]):
            if early is None:
                normed = block(normed)
                continue
            own = early[i].expand(len(img), -1, -1)
            mixed = put(tokens if i == 0 else normed, own)
            mixed = black_box.pre_norm(mixed) if i == 0 else mixed
            normed = cut(block(mixed), own)
        tokens = put(normed, prompts[:, 0])
    for i, block in enumerate(black_box.blocks[start:]):
        if deep and i > 0:
            tokens = put(cut(tokens, prompts[:, i]), prompts[:, i])
        tokens = block(tokens)
    return black_box.norm(cut(tokens, prompts[:, 0]))


@pytest.fixture(name='reference')
def _reference():
    return reference
