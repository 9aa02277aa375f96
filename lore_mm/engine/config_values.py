"""Refuse numbers of a config that a library would end with a traceback."""

from collections.abc import Mapping
from numbers import Real

from .config_keys import ConfigError

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')

MAX_SEED = 2**32 - 1  # of NumPy

# Smallest whole number that may stand under each key, and the largest.
_WHOLE: dict[str, tuple[int, int | None]] = {
    'train_cfg.max_epochs': (1, None),
    'train_cfg.max_iters': (1, None),
    'train_cfg.val_begin': (0, None),
    'train_cfg.val_interval': (1, None),
    'randomness.seed': (0, MAX_SEED),
    **{f'{name}.batch_size': (1, None) for name in _LOADERS},
    **{f'{name}.num_workers': (0, None) for name in _LOADERS},
}

_NUMBERS = ('lr', 'weight_decay', 'momentum', 'eps')


def check_config_values(cfg: Mapping) -> None:
    """Check the numbers that loops, loaders and the optimizer count with.

    mmengine and torch find them out after an epoch, or in the middle of a
    comparison, and do not name the key.

    Args:
        cfg (Mapping): A config, with all its bases and options merged.

    Raises:
        ConfigError: A value is no number, no whole one, or out of range.
    """
    for key, (least, most) in _WHOLE.items():
        value = _get(cfg, key)
        if value is None:
            continue
        most_or_it = value if most is None else most
        if not (
            _is_number(value)
            and least <= value <= most_or_it
            and value % 1 == 0  # 1e3 is a float
        ):
            rule = f'at least {least}' if most is None else f'{least}..{most}'
            raise ConfigError(
                f'{key} must be a whole number, {rule}, got {value!r}.'
            )
    for name in _NUMBERS:
        key = f'optim_wrapper.optimizer.{name}'
        value = _get(cfg, key)
        if value is not None and not _is_number(value):
            raise ConfigError(
                f'{key} must be a number such as 0.001, got {value!r}.'
            )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _get(cfg: Mapping, key: str) -> object:
    """The value under a dotted key; None without it."""
    first, *rest = key.split('.')
    value: object = cfg.get(first)  # mmengine's Config is no Mapping
    for name in rest:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
