"""Options of the command line that override keys of a config."""

import argparse
import copy
from collections.abc import Mapping, Sequence

from mmengine.config import Config, DictAction

from .config_keys import ConfigError, check_options


class OptionAction(DictAction):
    """mmengine's reader of KEY=VALUE that names what it cannot read."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        """Read ``values``, or end with an error of the command line."""
        for value in values:
            try:
                if 'dict(' in value:  # mmengine would take it for a text
                    raise ValueError('a dict')
                super().__call__(parser, namespace, [value], option_string)
            except (ValueError, AssertionError, RecursionError) as error:
                raise argparse.ArgumentError(
                    self,
                    f'{value!r} is no KEY=VALUE with closed brackets, such '
                    "as a.b=1 or 'c=[1,2]'; of a dict give each key, d.e=1.",
                ) from error


def merge_options(cfg: Config, options: Mapping) -> None:
    """Override keys of a config.

    Args:
        cfg (Config): Changed in place.
        options (Mapping): Dotted keys and their values.

    Raises:
        ConfigError: A key is that of a helper variable, or does not fit what
            is there, such as a name in a list.
    """
    check_options(options)
    before = copy.deepcopy(cfg)
    try:
        cfg.merge_from_dict(dict(options))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f'--cfg-options {_culprit(before, options)} does not fit what the '
            f'config has there: {error.args[0]}'
        ) from error


def _culprit(cfg: Config, options: Mapping) -> str:
    """The first option that cannot be merged alone; else all of them."""
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError, ValueError):
            return f'{key}={value}'
    return ' '.join(f'{key}={value}' for key, value in options.items())
