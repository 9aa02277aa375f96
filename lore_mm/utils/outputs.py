"""Check where results go before the work that makes them."""

import os
from pathlib import Path


def check_folder(folder: str | Path, what: str, advice: str) -> Path:
    """Make a folder and check that files can be written there.

    Args:
        folder (str | Path): The folder.
        what (str): What it is, for the message.
        advice (str): The way out, for the message.

    Returns:
        Path: The folder.

    Raises:
        ValueError: The folder cannot be made or written.
    """
    folder = Path(folder)
    probe = folder / f'.writable_{os.getpid()}'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b'1')
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f'{what} {str(folder)!r} cannot be written ({error.strerror}); '
            f'{advice}.'
        ) from error
    return folder
