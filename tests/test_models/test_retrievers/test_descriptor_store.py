"""Descriptors on disk."""

import numpy as np
import pytest
import torch
from torch import nn

from lore_mm.models.retrievers import (
    DescriptorStore,
    descriptor_key,
    open_descriptors,
)


def test_key_follows_weights_config_and_images():
    def key(weight=1.0, images=('a', 'b'), **config):
        model = nn.Linear(2, 2)
        nn.init.constant_(model.weight, weight)
        nn.init.zeros_(model.bias)
        return descriptor_key(model, config, images)

    same = key()
    assert same == key()
    assert len(same) == 32
    others = [
        key(weight=2.0),
        key(images=('b', 'a')),
        key(images=('ab',)),
        key(images=('a',)),
        key(scales=(1.0,)),
        key(scales=(0.5,)),
    ]
    assert len({same, *others}) == 7


def test_key_sees_buffers_that_no_checkpoint_holds():
    model = nn.Module()
    model.register_buffer('whitening', torch.zeros(2), persistent=False)
    before = descriptor_key(model, {}, [])
    model.whitening.fill_(1)
    assert descriptor_key(model, {}, []) != before


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_written_rows_are_read_again(tmp_path, dtype):
    path = tmp_path / 'new' / 'a.npy'
    store = DescriptorStore(path, 3, 4, dtype)
    second = DescriptorStore(path, 3, 4, dtype, create=False)
    values = torch.rand(3, 4)
    for row in (2, 0):
        store.write(row, values[row])
    second.write(1, values[1].requires_grad_())
    second.flush()
    assert not path.exists()  # not before it is complete
    assert store.finish() == path
    found = open_descriptors(path)
    assert isinstance(found, np.memmap)
    assert found.dtype == dtype
    assert not found.flags.writeable
    np.testing.assert_allclose(found, values.detach(), atol=1e-3)


def test_a_second_run_does_not_write_over_the_first(tmp_path):
    path = tmp_path / 'a.npy'
    first = DescriptorStore(path, 2, 3)
    first.write(0, torch.ones(3))
    with pytest.raises(ValueError, match=r"a\.npy' are being written by"):
        DescriptorStore(path, 2, 3)
    first.write(1, torch.ones(3))
    assert np.array_equal(open_descriptors(first.finish()), np.ones((2, 3)))
    DescriptorStore(path, 2, 3)  # free again, as of a run that was killed
    DescriptorStore(path, 2, 3)


def test_missing_and_broken_rows(tmp_path):
    store = DescriptorStore(tmp_path / 'a.npy', 3, 2)
    store.write(0, torch.ones(2))
    store.write(2, torch.tensor([1.0, float('nan')]))
    with pytest.raises(ValueError, match='image 1 is missing or not finite'):
        store.finish()
    assert not (tmp_path / 'a.npy').exists()


def test_unknown_dtype_and_damaged_file(tmp_path):
    with pytest.raises(ValueError, match="'float16'.* got 'int8'"):
        DescriptorStore(tmp_path / 'a.npy', 1, 1, 'int8')
    (tmp_path / 'a.npy').write_bytes(b'\x93NUMPY')
    with pytest.raises(ValueError, match=r'a\.npy.* damaged.*delete the file'):
        open_descriptors(tmp_path / 'a.npy')
