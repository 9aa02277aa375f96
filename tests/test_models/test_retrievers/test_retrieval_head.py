"""Pooling and whitening."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from lore_mm.models import RetrievalHead
from lore_mm.models.retrievers import (
    learn_whitening,
    load_whitening,
    save_whitening,
)


def test_pooling_by_hand():
    maps = torch.tensor([[[[1.0, -2.0], [3.0, 0.0]]]])
    assert RetrievalHead('mean').pool((maps,)).item() == 0.5
    cubes = (1 + 27) / 4
    gem = RetrievalHead('gem').pool((maps,))
    assert gem.item() == pytest.approx(cubes ** (1 / 3), abs=1e-5)
    mean = RetrievalHead('gem', gem_p=1.0).pool((maps,))
    assert mean.item() == pytest.approx(1, abs=1e-5)  # negatives cut off
    assert RetrievalHead('cls').pool((maps, maps[0, 0])).shape == (2, 2)


def test_half_precision_is_pooled_in_float32():
    maps = torch.full((1, 2, 40, 40), 60.0, dtype=torch.float16)
    assert RetrievalHead('gem').pool((maps,)).dtype == torch.float32
    assert RetrievalHead('mean').pool((maps,)).tolist() == [[60, 60]]


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(pooling='max'), "'gem'.* got 'max'"),
        (dict(gem_p=0), 'gem_p must be positive, got 0'),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        RetrievalHead(**options)


def correlated(count=500, seed=0):
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, 6)) @ rng.normal(size=(6, 6)) + 3
    return mixed.astype(np.float32)


@pytest.mark.parametrize('dims', [None, 2])
def test_whitening_makes_the_covariance_the_identity(dims):
    data = correlated()
    found = learn_whitening(data, dims)
    white = (data - found.mean) @ found.projection
    covariance = np.cov(white.T)
    np.testing.assert_allclose(covariance, np.eye(dims or 6), atol=1e-3)
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-3)


def test_whitening_keeps_only_what_varies():
    data = correlated()
    data[:, 3] = data[:, 2]
    assert learn_whitening(data).projection.shape == (6, 5)
    with pytest.raises(ValueError, match=r'dims must be in \[1, 5\].* got 6'):
        learn_whitening(data, 6)
    with pytest.raises(ValueError, match='at least 2 descriptors, got 1'):
        learn_whitening(data[:1])
    with pytest.raises(ValueError, match=r'in \[1, 0\]'):
        learn_whitening(np.ones((5, 3), np.float32))


def test_head_whitens(tmp_path):
    whitening = learn_whitening(correlated(), 3)
    path = tmp_path / 'white.npz'
    save_whitening(whitening, path)
    head = RetrievalHead(whitening=str(path))
    x = torch.from_numpy(correlated(4, seed=1))
    unit = functional.normalize(x).numpy()
    expected = (unit - whitening.mean) @ whitening.projection
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(head(x).numpy(), expected, atol=1e-5)
    assert not head.state_dict()  # checkpoints of classifiers still fit
    with pytest.raises(ValueError, match='for 6 dimensions, .* have 5'):
        head(x[:, :5])


def test_bad_whitening_files(tmp_path):
    path = tmp_path / 'white.npz'
    with pytest.raises(FileNotFoundError, match=r'white\.npz.*not exist'):
        load_whitening(path)
    for content in (
        dict(mean=np.ones(3)),
        dict(mean=np.ones(3), projection=np.ones((4, 2))),
        dict(mean=np.array([object()]), projection=np.ones((1, 1))),
    ):
        np.savez(path, **content)
        with pytest.raises(ValueError, match='holds no whitening'):
            load_whitening(path)
    path.write_bytes(b'junk')
    with pytest.raises(ValueError, match='holds no whitening'):
        load_whitening(path)
