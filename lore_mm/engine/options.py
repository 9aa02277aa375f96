"""Options of the command line that override keys of a config."""

import argparse
import ast
import copy
import re
from collections.abc import Mapping, Sequence

from mmengine.config import Config, DictAction

from .config_keys import (
    ConfigError,
    check_config_keys,
    check_options,
    known_config_keys,
)

# Spaces that are more than the looks of a list: `a b`, but not `1, 2`.
_SPACE_IN_TEXT = re.compile(r'(?<![,\s])\s+(?![,\s])')
_SPACE_IN_LIST = re.compile(r'(?<![,\s\[(])\s+(?![,\s\])])')
_DICT = re.compile(r'\{\s*[\'"]')  # not the `{}` of a template


class OptionAction(DictAction):
    """mmengine's reader of KEY=VALUE that names what it cannot read.

    Spaces inside a text stay, which mmengine leaves out: a path, a template.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        """Read ``values``, or end with an error of the command line."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for option in values:
            try:
                key, value = option.split('=', maxsplit=1)
                options[key] = _read(value.strip())
            except (
                ValueError,
                SyntaxError,
                AssertionError,
                RecursionError,
            ) as error:
                raise argparse.ArgumentError(
                    self,
                    f'{option!r} is no KEY=VALUE with closed brackets, such '
                    "as a.b=1 or 'c=[1,2]'; of a dict give each key, d.e=1; "
                    'texts with spaces in a list need quotes.',
                ) from error
        setattr(namespace, self.dest, options)


def _read(text: str) -> object:
    """The value of an option; see :class:`OptionAction`."""
    if 'dict(' in text:  # mmengine would take it for a text
        raise ValueError('a dict')
    if text[:1] + text[-1:] in ('[]', '()'):
        if _SPACE_IN_LIST.search(text) or _DICT.search(text):
            return ast.literal_eval(text)
    elif _SPACE_IN_TEXT.search(text):
        return text.strip('\'"')
    return DictAction._parse_iterable(text)


def merge_options(cfg: Config, options: Mapping) -> None:
    """Override keys of a config.

    Args:
        cfg (Config): Changed in place.
        options (Mapping): Dotted keys and their values.

    Raises:
        ConfigError: A key is that of a helper variable or unknown, or does
            not fit what is there, such as a name in a list.
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
    # What the config itself has is not judged: it may be another version's.
    own = set(before) - known_config_keys()
    touched = {key.split('.')[0] for key in options} - own
    check_config_keys({key: cfg[key] for key in cfg if key in touched})


def _culprit(cfg: Config, options: Mapping) -> str:
    """The first option that cannot be merged alone; else all of them."""
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError, ValueError):
            return f'{key}={value}'
    return ' '.join(f'{key}={value}' for key, value in options.items())
