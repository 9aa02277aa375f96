"""Train mode and eval mode on the same images."""

import pytest
import torch

from lore_mm.models.white_box.norm import TokenBatchNorm

CLOSE = dict(rtol=1e-4, atol=1e-4)


def norms(model):
    return [m for m in model.modules() if isinstance(m, TokenBatchNorm)]


@pytest.fixture
def make(make_case, make_model, make_image):
    """A model in eval mode, with images its statistics do not fit."""

    def make(**white_box):
        black_box = make_case('vit').black_box
        model = make_model(black_box, **white_box)
        return model.eval(), 3 * make_image(black_box, batch=6) + 1

    return make


def both(model, img):
    with torch.no_grad():
        train = model.train()(img)[0]
        return train, model.eval()(img)[0]


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(norm='layer'),
        dict(preset='extended'),
        dict(preset='paper'),
        dict(norm='none'),
    ],
    ids=str,
)
def test_without_batch_norm(make, kwargs):
    model, img = make(**kwargs)
    torch.testing.assert_close(*both(model, img), **CLOSE)


def test_frozen_statistics(make):
    model, img = make()
    with torch.no_grad():
        for norm in norms(model):
            norm.start_measuring()
        model(img)
        for norm in norms(model):
            norm.stop_measuring()
            norm.frozen_statistics = True
    torch.testing.assert_close(*both(model, img), **CLOSE)


def test_batch_norm_parts_them(make):
    """The trap that the settings above are for."""
    model, img = make()
    assert norms(model)
    train, evaluated = both(model, img)
    assert (train - evaluated).abs().max() > 0.01
