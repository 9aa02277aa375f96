"""The settings of a run, kept beside its results.

A finished run is not done again; so one that was made with other settings has
to be told apart, or its figures would be passed off as those of the new ones.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .files import replace_when_done

# Where data lies says nothing about a run.
_PLACES = ('data_root', 'work_dir')
# Changes that an error names.
_MAX_NAMED = 3


def settings_of(cfg: Config, **facts) -> dict[str, Any]:
    """What the results of a run depend on, by dotted keys.

    Args:
        cfg (Config): The config; folders of data and of work are left out.
        **facts: All else, such as ``seed`` and ``options``.
    """
    found = {**_flat(cfg.to_dict()), **_flat(facts)}
    return {
        key: value
        for key, value in found.items()
        if key.split('.')[-1] not in _PLACES
    }


def keep_settings(note: str | Path, settings: Mapping[str, Any]) -> None:
    """Write settings down, or see that they are those of before.

    Args:
        note (str | Path): JSON file in the folder of the run.
        settings (Mapping): Nested or flat; see :func:`settings_of`.

    Raises:
        ValueError: The file has other settings, the first few of which are
            named. Nothing was written.
    """
    note = Path(note)
    # As they come back from the file: dates or types as text.
    text = json.dumps(_flat(settings), indent=1, sort_keys=True, default=str)
    if note.is_file():
        old, new = _flat(json.loads(note.read_text('utf-8'))), json.loads(text)
        _compare(note.parent, old, new)
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    with replace_when_done(note) as temp:
        temp.write_text(f'{text}\n', 'utf-8')


def _compare(
    folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    missing = 'unset'
    changed = [
        f'{key} was {old.get(key, missing)!r}, is {new.get(key, missing)!r}'
        for key in sorted({*old, *new})
        if old.get(key, missing) != new.get(key, missing)
    ]
    if changed:
        more = '; ...' if changed[_MAX_NAMED:] else ''
        raise ValueError(
            f"'{folder}' was made with other settings "
            f'({"; ".join(changed[:_MAX_NAMED])}{more}): delete it to run it '
            'anew, or name another --work-dir.'
        )


def _flat(value: object, key: str = '') -> dict[str, Any]:
    """Leaves of nested dicts and lists by their dotted keys."""
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        return {key: value}
    if not items:
        return {key: str(value)}
    found: dict[str, Any] = {}
    for name, each in items:
        found |= _flat(each, f'{key}.{name}' if key else str(name))
    return found
