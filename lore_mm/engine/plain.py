"""Turn what mmengine puts into a checkpoint into plain types, and back.

A file of tensors, strings, numbers, lists and dicts is all that
``torch.load(..., weights_only=True)`` accepts without an allow-list.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

_PLAIN = (str, bytes, bool, int, float, type(None), Tensor)


def to_plain(value: object) -> object:
    """Copy ``value`` with NumPy's and other containers' types removed.

    Raises:
        TypeError: ``value`` holds an object with no plain form.
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if type(value) in _PLAIN or isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        return {to_plain(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(to_plain(item) for item in value)
    if isinstance(value, list | set | frozenset):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    for kind in (str, bool, int, float):  # subclasses
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f'{type(value).__name__} has no plain form')


def pack_message_hub(state: Mapping) -> tuple[dict, list[str]]:
    """Plain form of a message hub's ``state_dict``.

    Returns:
        tuple: The plain state, and the names of run-time entries that have
        no plain form and were left out.
    """
    scalars = {
        name: _pack_history(buffer)
        for name, buffer in state['log_scalars'].items()
        if isinstance(buffer, HistoryBuffer)
    }
    info, left_out = {}, []
    for name, value in state['runtime_info'].items():
        try:
            info[name] = to_plain(value)
        except TypeError:
            left_out.append(name)
    resumed = {
        name: flag
        for name, flag in state['resumed_keys'].items()
        if name not in left_out
    }
    packed = dict(log_scalars=scalars, runtime_info=info, resumed_keys=resumed)
    return packed, left_out


def unpack_message_hub(state: Mapping) -> dict:
    """Undo :func:`pack_message_hub`; leaves mmengine's own form as it is."""
    scalars = {
        name: value
        if isinstance(value, HistoryBuffer)
        else _unpack_history(value)
        for name, value in state['log_scalars'].items()
    }
    return dict(state, log_scalars=scalars)


def _pack_history(buffer: HistoryBuffer) -> dict:
    values, counts = buffer.data
    return dict(
        values=torch.from_numpy(np.array(values, dtype=np.float64)),
        counts=torch.from_numpy(np.array(counts, dtype=np.float64)),
        max_length=buffer.max_length,
    )


def _unpack_history(packed: Mapping) -> HistoryBuffer:
    # A checkpoint is loaded to the device of the model: come back from it.
    return HistoryBuffer(
        packed['values'].cpu().numpy(),
        packed['counts'].cpu().numpy(),
        packed['max_length'],
    )
