"""Splits and chosen images written down as JSON."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + '...'


def write_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write ``record`` as JSON in one step: never half a file.

    Several processes may write the same record at the same time.
    """
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        partial.write_text(json.dumps(record, indent=1) + '\n', 'utf-8')
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_record(path: str | Path) -> dict[str, Any] | None:
    """Read a record, or return None if there is no such file.

    Raises:
        ValueError: If the file is not a JSON object.
    """
    path = Path(path).expanduser()
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text('utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}' is not a JSON file: {error}.") from error
    if not isinstance(record, dict):
        raise ValueError(f"'{path}' must hold a JSON object.")
    return record


def check_record(
    path: str | Path, stored: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Refuse a stored record that was made for something else.

    Args:
        path (str | Path): The file, for the message.
        stored (Mapping): What the file holds.
        wanted (Mapping): What it must hold, the chosen images left out.

    Raises:
        ValueError: If a value differs; each one is named.
    """
    wrong = [
        f'{key} is {_short(stored.get(key))} there, {_short(value)} here'
        for key, value in wanted.items()
        if stored.get(key) != value
    ]
    if wrong:
        raise ValueError(
            f"'{path}' was written for other data or another choice: "
            f'{"; ".join(wrong)}. Name another file, or delete this one to '
            'choose anew.'
        )
