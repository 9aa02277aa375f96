"""Options of the command line that override keys of a config."""

import argparse
from collections.abc import Sequence

from mmengine.config import DictAction


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
