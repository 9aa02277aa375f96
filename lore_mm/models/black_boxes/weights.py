"""Read local weight files strictly and without running their code."""

import pickle
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

# How many keys an error names before it only counts them.
_MAX_NAMED = 6


def load_weights(path: str) -> dict[str, Tensor]:
    """Read a state dict from a safetensors or a torch file.

    Args:
        path (str): A ``.safetensors`` file, or a torch file that loads with
            ``weights_only=True``. A dict under ``state_dict`` or ``model`` is
            unwrapped.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, would run code when unpickled, or
            holds no tensors.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f'checkpoint {path!r} does not exist; give a local file, or '
            'pretrained=True to download.'
        )
    try:
        if file.suffix == '.safetensors':
            state = load_file(file)
        else:
            state = torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'checkpoint {path!r} holds objects other than tensors and was '
            f'not unpickled: {str(error).splitlines()[0]}'
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(
            f'checkpoint {path!r} is truncated or damaged: {error}'
        ) from error
    for key in ('state_dict', 'model'):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state:
        raise ValueError(f'checkpoint {path!r} holds no state dict.')
    return dict(state)


def strict_load(
    model: nn.Module,
    state: dict[str, Tensor],
    path: str,
    drop: Iterable[str] = (),
) -> None:
    """Load ``state`` into ``model``; every key must fit.

    Args:
        model (nn.Module): The ViT.
        state (dict[str, Tensor]): Weights by name.
        path (str): The file, for the message.
        drop (Iterable[str]): Prefixes of a pre-training classifier that may
            be in the file and not in the model.

    Raises:
        RuntimeError: A key is missing, unexpected or of another shape; the
            message names it.
    """
    expected = model.state_dict()
    drop = tuple(drop)
    state = {
        key: value
        for key, value in state.items()
        if key in expected or not (drop and key.startswith(drop))
    }
    faults = {
        'missing': sorted(expected.keys() - state.keys()),
        'unexpected': sorted(state.keys() - expected.keys()),
        'of another shape': [
            f'{key} {tuple(state[key].shape)} instead of '
            f'{tuple(expected[key].shape)}'
            for key in sorted(expected.keys() & state.keys())
            if state[key].shape != expected[key].shape
        ],
    }
    if any(faults.values()):
        parts = [
            f'{name}: {_named(keys)}' for name, keys in faults.items() if keys
        ]
        raise RuntimeError(
            f'checkpoint {path!r} does not fit the model, {"; ".join(parts)}.'
        )
    model.load_state_dict(state)


def _named(keys: list[str]) -> str:
    more = len(keys) - _MAX_NAMED
    tail = f' and {more} more' if more > 0 else ''
    return ', '.join(keys[:_MAX_NAMED]) + tail
