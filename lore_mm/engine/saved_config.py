"""The config inside a checkpoint, read without running it."""

import ast
from collections.abc import Mapping

from mmengine.config import Config

from .files import CheckpointError

# What mmengine restores from a checkpoint over what the config says.
_KEPT = (
    'optim_wrapper.optimizer',
    'optim_wrapper.paramwise_cfg',
    'param_scheduler',
)


def saved_config(checkpoint: Mapping) -> Config:
    """The config that a checkpoint was trained with.

    mmengine keeps it as the text of a Python file, which its own reader would
    run. Here it is read as what it is, assignments of literals and of
    ``dict(...)``; anything else is refused.

    Args:
        checkpoint (Mapping): As :func:`safe_load_checkpoint` gives it.

    Raises:
        CheckpointError: There is no config, or it holds more than literals.
    """
    text = checkpoint.get('meta', {}).get('cfg')
    if not text:
        raise CheckpointError(
            'the checkpoint does not carry its config; give the config too.'
        )
    try:
        return Config(_parse(text))
    except (SyntaxError, ValueError) as error:
        raise CheckpointError(
            f'the config in the checkpoint is no list of plain values '
            f'({error}) and was not run; give the config as a file.'
        ) from error


def kept_when_resumed(checkpoint: Mapping, cfg: Config) -> list[str]:
    """Keys of ``cfg`` that have another value in the checkpoint's config.

    Only what a resumed training takes from the checkpoint, whatever the
    config says: the optimizer and the schedule of learning rates. A schedule
    without an end of its own keeps the length of the first training.

    Args:
        checkpoint (Mapping): As :func:`safe_load_checkpoint` gives it.
        cfg (Config): The config of the training that goes on.

    Raises:
        CheckpointError: The optimizer is of another type, whose state does
            not fit.
    """
    try:
        saved = saved_config(checkpoint)
    except CheckpointError:
        return []  # nothing to compare with
    key = 'optim_wrapper.optimizer.type'
    before, now = _get(saved, key), _get(cfg, key)
    if None not in (before, now) and _name(before) != _name(now):
        raise CheckpointError(
            f'{key} is {now!r}, but the checkpoint holds the state of '
            f'{before!r}; set it back, or start anew with load_from.'
        )
    changed = [key for key in _KEPT if _get(saved, key) != _get(cfg, key)]
    lengths = ('train_cfg.max_epochs', 'train_cfg.max_iters')
    longer = [key for key in lengths if _get(saved, key) != _get(cfg, key)]
    schedules = _get(cfg, 'param_scheduler') or []
    schedules = schedules if isinstance(schedules, list) else [schedules]
    if any('end' not in schedule for schedule in schedules):
        changed += [f'{key} (as the length of schedules)' for key in longer]
    return changed


def _get(cfg: Config, key: str) -> object:
    """The value under a dotted key, as plain types; None without it."""
    value: object = cfg.to_dict()
    for name in key.split('.'):
        value = value.get(name) if isinstance(value, Mapping) else None
    value = _comparable(value)
    if key == 'optim_wrapper.optimizer' and isinstance(value, dict):
        value['type'] = _name(value.get('type'))
    return value


def _comparable(value: object) -> object:
    """Tuples as lists, of which it does not matter which is written."""
    if isinstance(value, Mapping):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_comparable(item) for item in value]
    return value


def _name(kind: object) -> str:
    """A type without its scope or module: ``torch.optim.AdamW`` too."""
    return getattr(kind, '__name__', str(kind).rpartition('.')[2])


def _parse(text: str) -> dict:
    values = {}
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            raise ValueError(f'line {node.lineno}: not "name = value"')
        (target,) = node.targets
        if not isinstance(target, ast.Name):
            raise ValueError(f'line {node.lineno}: not "name = value"')
        values[target.id] = _value(node.value)
    return values


def _value(node: ast.expr) -> object:
    """The value of a literal, in which ``dict(a=1)`` may stand too."""
    if isinstance(node, ast.Call):
        return _call(node)
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = map(ast.literal_eval, node.keys)
        return dict(zip(keys, map(_value, node.values), strict=True))
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Set):
        return {_value(item) for item in node.elts}
    return ast.literal_eval(node)


def _call(node: ast.Call) -> object:
    name = getattr(node.func, 'id', None)
    keywords = {item.arg: item.value for item in node.keywords}
    if name == 'set' and not node.args and not keywords:
        return set()
    if name != 'dict' or node.args or None in keywords:
        raise ValueError(f'line {node.lineno}: a call of other than dict()')
    return {key: _value(value) for key, value in keywords.items()}
