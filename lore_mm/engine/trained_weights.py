"""What a checkpoint holds: all but the frozen Black Box.

The frozen set is declared by a type: it is every tensor of a
:class:`~lore_mm.models.black_boxes.BlackBox` whose ``frozen`` is True.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

from lore_mm.datasets.class_names import class_difference
from lore_mm.models.black_boxes import BlackBox

from .files import CheckpointError, safe_load_checkpoint
from .white_box_settings import check_white_boxes

# Digits of a fingerprint and number of keys that a message shows.
_SHOWN_DIGITS = 12
_SHOWN_KEYS = 5


def frozen_black_boxes(model: nn.Module) -> dict[str, BlackBox]:
    """The frozen Black Boxes of ``model`` by their names in it."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, BlackBox) and module.frozen
    }


def frozen_keys(model: nn.Module) -> set[str]:
    """Names of the frozen tensors in the state dict of ``model``.

    A frozen tensor that is also reached by another name, such as a patch
    embedding that a White Box shares, counts under both.
    """
    boxes = frozen_black_boxes(model).values()
    frozen = {
        id(tensor)
        for box in boxes
        for tensor in chain(box.parameters(), box.buffers())
        if not tensor.requires_grad
    }
    named = chain(
        model.named_parameters(remove_duplicate=False),
        model.named_buffers(remove_duplicate=False),
    )
    return {name for name, tensor in named if id(tensor) in frozen}


def black_box_facts(model: nn.Module) -> dict[str, dict[str, str]]:
    """Name and fingerprint of each frozen Black Box, for a checkpoint."""
    return {
        prefix: dict(name=box.describe(), fingerprint=box.fingerprint())
        for prefix, box in frozen_black_boxes(model).items()
    }


def check_black_boxes(
    saved: Mapping[str, Mapping[str, str]],
    model: nn.Module,
    state: Iterable[str] = (),
) -> None:
    """Compare the Black Boxes of a checkpoint with those of ``model``.

    Args:
        saved (Mapping): :func:`black_box_facts` of the model that was saved.
        model (nn.Module): The model to load.
        state (Iterable[str]): Keys of the checkpoint. A Black Box whose
            weights are among them is left to :func:`fit_state_dict`, which
            compares them one by one. Defaults to none.

    Raises:
        CheckpointError: A Black Box has another name or other weights.
    """
    state = tuple(state)
    for prefix, box in frozen_black_boxes(model).items():
        if prefix not in saved:
            if any(key.startswith(f'{prefix}.') for key in state):
                continue
            raise CheckpointError(
                f'the checkpoint was not trained beside a frozen Black Box at '
                f'{prefix!r}, where this model has {box.describe()}.'
            )
        facts = saved[prefix]
        ours, theirs = box.fingerprint(), facts['fingerprint']
        if (facts['name'], theirs) == (box.describe(), ours):
            continue
        hint = ''
        if facts['name'] == box.describe():
            hint = ', the same weights too (random ones hang on the seed)'
        raise CheckpointError(
            f'the checkpoint was trained beside the Black Box '
            f'{facts["name"]} with weights {theirs[:_SHOWN_DIGITS]}, but this '
            f'model has {box.describe()} with weights '
            f'{ours[:_SHOWN_DIGITS]}; give {prefix!r} the Black Box of the '
            f'checkpoint{hint}.'
        )


def check_classes(
    saved: Sequence[str] | None, current: Sequence[str] | None
) -> None:
    """Raise unless a trained head and the data name the same classes.

    Args:
        saved (Sequence[str], optional): Classes of the checkpoint.
        current (Sequence[str], optional): Classes of the data set. Nothing
            is compared where either is None.

    Raises:
        CheckpointError: Their number, names or order differ.
    """
    if saved is None or current is None:
        return
    rule = class_difference(
        saved,
        current,
        ('the checkpoint', 'the data'),
        ('there', 'here'),
        verb='was trained on',
    )
    if rule is None:
        return
    raise CheckpointError(
        f'{rule}; take the data it was trained on, or train anew with '
        f'load_from, which keeps the backbone.'
    )


def drop_frozen(state: Mapping[str, Tensor], model: nn.Module) -> OrderedDict:
    """``state`` without the frozen tensors of ``model``; order is kept."""
    frozen = frozen_keys(model)
    kept = OrderedDict((k, v) for k, v in state.items() if k not in frozen)
    if hasattr(state, '_metadata'):
        kept._metadata = state._metadata  # versions of the modules
    return kept


def fit_state_dict(
    state: Mapping[str, Tensor], model: nn.Module, modules: Iterable[str]
) -> OrderedDict:
    """Complete the trained tensors of a checkpoint to a whole state dict.

    Args:
        state (Mapping[str, Tensor]): Tensors of the checkpoint.
        model (nn.Module): The model to load.
        modules (Iterable[str]): Children of ``model`` to take from the
            checkpoint. Other tensors stay as they are in ``model``.

    Returns:
        OrderedDict: Fits ``model.load_state_dict(..., strict=True)``.

    Raises:
        CheckpointError: A trained tensor is missing, unexpected or has
            another shape, or a frozen one has other values.
    """
    modules = set(modules)
    ours = model.state_dict()
    frozen = frozen_keys(model)
    state = {k: v for k, v in state.items() if _child(k) in modules}
    wanted = {k for k in ours if _child(k) in modules}
    _check_keys(state, wanted, frozen)
    _check_values(state, ours, frozen)
    fitted = OrderedDict((k, state.get(k, v)) for k, v in ours.items())
    fitted._metadata = getattr(ours, '_metadata', OrderedDict())
    return fitted


def pop_state(checkpoint: dict) -> dict[str, Tensor]:
    """Tensors of a checkpoint; a bare state dict is emptied into it.

    Raises:
        CheckpointError: There is neither.
    """
    if 'state_dict' in checkpoint:
        state = checkpoint['state_dict']
    else:
        state = dict(checkpoint)
        checkpoint.clear()
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f'the file is no checkpoint: it has no state_dict, and '
                f'{key!r} is a {type(value).__name__}, not a tensor.'
            )
    return {key.removeprefix('module.'): v for key, v in state.items()}


def load_trained_weights(
    model: nn.Module,
    source: str | Path,
    map_location: str | torch.device = 'cpu',
) -> dict:
    """Load a checkpoint into ``model`` without a runner.

    Children of the model that the checkpoint has and the model lacks, such as
    a classifier's head, are left out. All else must fit.

    Args:
        model (nn.Module): The model, not wrapped.
        source (str | Path): A local file or an ``http(s)://`` address.
        map_location (str | torch.device): Defaults to ``'cpu'``.

    Returns:
        dict: ``meta`` of the checkpoint: ``cfg``, ``classes``, ``epoch``, ...

    Raises:
        CheckpointError: It cannot be read or does not fit.
    """
    checkpoint = safe_load_checkpoint(source, map_location)
    return load_trained_state(model, checkpoint, source)


def load_trained_state(
    model: nn.Module, checkpoint: dict, name: str | Path
) -> dict:
    """:func:`load_trained_weights` of a checkpoint that was read already.

    Args:
        model (nn.Module): The model, not wrapped.
        checkpoint (dict): Content of the file.
        name (str | Path): Its path, for messages.
    """
    try:
        state = pop_state(checkpoint)
        meta = checkpoint.get('meta', {})
        check_black_boxes(meta.get('black_box', {}), model, state)
        own = children_of(model.state_dict())
        fitted = fit_state_dict(state, model, own)
        check_white_boxes(meta.get('white_box', {}), model)
        model.load_state_dict(fitted)
    except CheckpointError as error:
        raise CheckpointError(f'{name}: {error}') from error
    return meta


def children_of(keys: Iterable[str]) -> list[str]:
    """Names before the first dot, each once, in order."""
    return list(dict.fromkeys(_child(key) for key in keys))


def list_keys(keys: Iterable[str]) -> str:
    """The first few keys, for a message."""
    keys = sorted(keys)
    shown = ', '.join(keys[:_SHOWN_KEYS])
    more = len(keys) - _SHOWN_KEYS
    return f'{shown} and {more} more' if more > 0 else shown


def _child(key: str) -> str:
    return key.split('.', 1)[0]


def _check_keys(state: Mapping, wanted: set[str], frozen: set[str]) -> None:
    """Every wanted key is there, but for the frozen, and no other."""
    missing = wanted - frozen - set(state)
    unexpected = set(state) - wanted
    parts = []
    if missing:
        parts.append(f'misses {list_keys(missing)}')
    if unexpected:
        parts.append(f'has the unexpected {list_keys(unexpected)}')
    if parts:
        raise CheckpointError(
            f'the checkpoint does not fit the model: it {" and ".join(parts)};'
            f' take the config it was trained with.'
        )


def _check_values(state: Mapping, ours: Mapping, frozen: set[str]) -> None:
    """Shapes agree; frozen tensors, where saved at all, are the same."""
    for key, value in state.items():
        own = ours[key]
        if value.shape != own.shape:
            raise CheckpointError(
                f'{key} has the shape {tuple(value.shape)} in the checkpoint '
                f'and {tuple(own.shape)} in the model.'
            )
        if key in frozen and not value.to(own).equal(own):
            raise CheckpointError(
                f'the checkpoint holds its own weights of the frozen Black '
                f'Box ({key} differs); to use them set frozen=False, or '
                f'give the Black Box these weights.'
            )
