"""Read local weight files strictly and without running their code."""

import math
import pickle
import struct
from collections.abc import Iterable
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lore_mm.utils import SetupError

# What the readers raise on bytes that are no checkpoint.
_DAMAGED = (
    SafetensorError,
    RuntimeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    struct.error,
)

# How many keys an error names before it only counts them.
_MAX_NAMED = 6

# Where training scripts keep the state dict inside a checkpoint.
_WRAPPERS = ('state_dict', 'model')

# What DistributedDataParallel puts before every key.
_PARALLEL = 'module.'


def check_sources(pretrained: bool | str, checkpoint: str | None) -> None:
    """Raise ``ValueError`` when two sources of weights are given."""
    if pretrained and checkpoint:
        raise ValueError(
            f'pretrained={pretrained!r} and checkpoint={checkpoint!r} are two '
            'sources of weights, give one.'
        )


def load_weights(path: str) -> dict[str, Tensor]:
    """Read a state dict from a safetensors or a torch file.

    Args:
        path (str): A ``.safetensors`` file, or a torch file that loads with
            ``weights_only=True``.

    Returns:
        dict[str, Tensor]: See :func:`unwrap`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, would run code when unpickled, or
            holds no state dict.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f'checkpoint {path!r} does not exist; give a local file, or '
            'pretrained=True to download. For a file that a shipped config '
            'names, the first lines of its Black Box config tell the command.'
        )
    try:
        if file.suffix == '.safetensors':
            content = load_file(file)
        else:
            content = torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'checkpoint {path!r} is damaged or holds objects other than '
            f'tensors and was not unpickled ({_reason(error)}); save its '
            'state dict alone.'
        ) from error
    except _DAMAGED as error:
        raise ValueError(
            f'checkpoint {path!r} is truncated or damaged '
            f'({str(error) or type(error).__name__}).'
        ) from error
    return unwrap(content, path)


def _reason(error: Exception) -> str:
    """The line of torch's message that names the fault.

    The others advise to load with ``weights_only=False``.
    """
    for line in str(error).splitlines():
        _, mark, rest = line.partition('nsupported ')
        if mark:
            return f'unsupported {rest}'.rstrip('. ')
    return 'torch.load refused it'


def unwrap(content: object, path: str) -> dict[str, Tensor]:
    """Find the state dict in the content of a checkpoint.

    Args:
        content (object): A state dict, or a dict that holds one under
            ``state_dict`` or ``model``.
        path (str): The file, for the message.

    Returns:
        dict[str, Tensor]: Weights by name, without the prefix ``module.`` of
        parallel training.

    Raises:
        ValueError: There is no state dict.
    """
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise ValueError(f'checkpoint {path!r} holds no state dict.')
    strangers = [
        str(key)
        for key, value in content.items()
        if not (isinstance(key, str) and isinstance(value, Tensor))
    ]
    if strangers:
        raise ValueError(
            f'checkpoint {path!r} holds no state dict: not tensors are '
            f'{_named(strangers)}.'
        )
    if all(key.startswith(_PARALLEL) for key in content):
        return {key[len(_PARALLEL) :]: v for key, v in content.items()}
    return dict(content)


def take_part(
    state: dict[str, Tensor], prefix: str, others: Iterable[str]
) -> dict[str, Tensor]:
    """Cut one module's weights out of the state dict of a larger model.

    Args:
        state (dict[str, Tensor]): Weights by name.
        prefix (str): The module's name with a dot.
        others (Iterable[str]): Prefixes of known parts to leave out.

    Returns:
        dict[str, Tensor]: The module's weights under their own names. Keys of
        neither kind stay, for :func:`strict_load` to name them. A state dict
        without the prefix is returned as it is.
    """
    if not any(key.startswith(prefix) for key in state):
        return state
    others = tuple(others)
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix) or not key.startswith(others)
    }


def native_grid(
    num_positions: int, other: tuple[int, int], path: str
) -> tuple[int, int]:
    """Patch grid (h, w) that position embeddings were trained at.

    A file holds their number alone. As in timm, a square number is a square.

    Args:
        num_positions (int): Positions without those of prefix tokens.
        other (tuple[int, int]): Grid of ``img_size``, taken if it fits a
            number that is no square.
        path (str): The file, for the message.

    Raises:
        ValueError: Neither grid fits.
    """
    side = math.isqrt(max(num_positions, 0))
    if side and side * side == num_positions:
        return side, side
    if other[0] * other[1] == num_positions:
        return other
    raise ValueError(
        f'checkpoint {path!r} has {num_positions} positions: no square, and '
        f'img_size makes {other[0]} x {other[1]}; set img_size to the size '
        'the weights were trained at.'
    )


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
        path (str): The file, for messages.
        drop (Iterable[str]): Prefixes of a pre-training classifier that may
            be in the file and not in the model; what is dropped is logged.

    Raises:
        SetupError: A key is missing, unexpected or of another shape; the
            message names it.
    """
    expected = model.state_dict()
    drop = tuple(drop)
    dropped = [
        key for key in state if key not in expected and key.startswith(drop)
    ]
    state = {key: state[key] for key in state if key not in dropped}
    faults = _faults(expected, state)
    if faults:
        raise SetupError(
            f'checkpoint {path!r} does not fit the model, {"; ".join(faults)}.'
        )
    model.load_state_dict(state)
    if dropped:
        MMLogger.get_current_instance().info(
            'dropped the pre-training classifier of %s: %s',
            path,
            _named(dropped),
        )


def _faults(
    expected: dict[str, Tensor], state: dict[str, Tensor]
) -> list[str]:
    """What keeps ``state`` from fitting, in words."""
    shapes = [
        f'{key} {tuple(state[key].shape)} instead of '
        f'{tuple(expected[key].shape)}'
        for key in sorted(expected.keys() & state.keys())
        if state[key].shape != expected[key].shape
    ]
    faults = {
        'missing': sorted(expected.keys() - state.keys()),
        'unexpected': sorted(state.keys() - expected.keys()),
        'of another shape': shapes,
    }
    return [f'{name}: {_named(keys)}' for name, keys in faults.items() if keys]


def _named(keys: list[str]) -> str:
    more = len(keys) - _MAX_NAMED
    tail = f' and {more} more' if more > 0 else ''
    return ', '.join(keys[:_MAX_NAMED]) + tail
