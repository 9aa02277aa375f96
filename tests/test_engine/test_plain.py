"""What mmengine saves becomes plain types, and comes back."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, MessageHub

from lore_mm.engine.plain import (
    pack_message_hub,
    to_plain,
    unpack_message_hub,
)


@pytest.mark.parametrize(
    'value,plain',
    [
        (np.float64(1.5), 1.5),
        (np.int32(2), 2),
        (np.array([1, 2]), [1, 2]),
        (np.array(['a']), ['a']),
        (Path('/a/b'), '/a/b'),
        ((1, (2, {3})), (1, (2, [3]))),
        (ConfigDict(a=dict(b=np.bool_(True))), {'a': {'b': True}}),
        (OrderedDict(a=None), {'a': None}),
    ],
)
def test_to_plain(value, plain):
    result = to_plain(value)
    assert result == plain
    assert type(result) is type(plain)


def test_tensors_stay():
    tensor = torch.rand(2)
    assert to_plain([tensor])[0] is tensor


def test_no_plain_form():
    with pytest.raises(TypeError, match='object has no plain form'):
        to_plain(dict(a=[object()]))


def test_message_hub_comes_back_the_same(tmp_path):
    hub = MessageHub('plain')
    for step in range(5):
        hub.update_scalar('train/loss', 1.0 / (step + 1), count=step + 1)
    hub.update_info('best_score', np.float64(0.5))
    hub.update_info('odd', object())
    packed, left_out = pack_message_hub(hub.state_dict())
    assert left_out == ['odd']
    torch.save(packed, tmp_path / 'hub.pth')
    loaded = torch.load(tmp_path / 'hub.pth', weights_only=True)
    other = MessageHub('other')
    other.load_state_dict(unpack_message_hub(loaded))
    assert other.get_info('best_score') == 0.5
    ours, theirs = (h.get_scalar('train/loss') for h in (hub, other))
    assert isinstance(theirs, HistoryBuffer)
    for mine, loaded in zip(ours.data, theirs.data, strict=True):
        assert mine.tolist() == loaded.tolist()
    other.update_scalar('train/loss', 3.0)
    assert theirs.current() == 3.0


def test_form_of_mmengine_is_left_as_it_is():
    hub = MessageHub('stock')
    hub.update_scalar('train/loss', 1.0)
    state = unpack_message_hub(hub.state_dict())
    assert state['log_scalars']['train/loss'].current() == 1.0
