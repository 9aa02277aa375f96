"""Files of a run: written whole or not at all, read without running code."""

import os
import pickle
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lore_mm.utils import SetupError
from lore_mm.utils.outputs import check_folder

# mmengine's name for the file that holds the path of the newest checkpoint.
LAST_CHECKPOINT = 'last_checkpoint'

# What torch.load raises on a file that lost a part.
_DAMAGED = (
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)

_URL_SCHEMES = ('http://', 'https://')


class CheckpointError(SetupError):
    """A checkpoint cannot be read, does not fit, or cannot be written."""


@contextmanager
def replace_when_done(target: str | Path) -> Iterator[Path]:
    """Write a file so that a failure leaves the old one as it was.

    Args:
        target (str | Path): The file to write.

    Yields:
        Path: A temporary name in the same folder. If the block ends without
        an error the file there takes the place of ``target``.

    Raises:
        OSError: The folder or the disk does not take the file.
    """
    target = Path(target)
    temp = target.with_name(f'.{target.name}.tmp')
    try:
        yield temp
        with temp.open('rb') as file:
            os.fsync(file.fileno())  # the content before the name
        os.replace(temp, target)
    finally:
        temp.unlink(missing_ok=True)


def safe_load_checkpoint(
    source: str | Path, map_location: str | torch.device = 'cpu'
) -> dict:
    """Read a torch file that holds tensors and plain types only.

    Args:
        source (str | Path): A local file, or an ``http(s)://`` address, which
            is kept in torch's cache.
        map_location (str | torch.device): Where the tensors go. Defaults to
            ``'cpu'``.

    Returns:
        dict: The content of the file.

    Raises:
        CheckpointError: The file is missing, truncated, no checkpoint, or
            holds an object that would run code. Nothing of it is run.
    """
    if str(source).startswith(_URL_SCHEMES):
        content = torch.hub.load_state_dict_from_url(
            str(source), map_location=map_location, weights_only=True
        )
    else:
        content = _load_file(Path(source).expanduser(), map_location)
    if not isinstance(content, dict):
        raise CheckpointError(
            f'{source} holds a {type(content).__name__}, not the dict of a '
            f'checkpoint.'
        )
    return content


def _load_file(path: Path, map_location: str | torch.device) -> object:
    """Read a local torch file; see :func:`safe_load_checkpoint`."""
    if not path.is_file():
        raise CheckpointError(
            f'checkpoint {path} does not exist; the path must be a local '
            f'file or an http(s) address.'
        )
    broken = (
        f'{path} ({path.stat().st_size} bytes) is truncated or is no torch '
        f'checkpoint; copy or train it again.'
    )
    with path.open('rb') as file:
        head = file.read(2)
    is_archive, is_pickle = head == b'PK', head[:1] == pickle.PROTO
    # An archive that lost its end is no zip file: torch would take it for
    # its old format and give a misleading message.
    if is_archive and not zipfile.is_zipfile(path):
        raise CheckpointError(broken)
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        if not (is_archive or is_pickle):
            raise CheckpointError(broken) from error
        raise CheckpointError(
            f'{path} is refused: it holds objects other than tensors and '
            f'plain types, which could run code when read. Nothing of it was '
            f'run. Convert it to a file of tensors where it is trusted.'
        ) from error
    except _DAMAGED as error:
        raise CheckpointError(broken) from error


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """The newest checkpoint that a run left in ``work_dir``, if any.

    A work folder may have been moved or copied; see :func:`where_it_is_now`.
    """
    work_dir = Path(work_dir)
    note = work_dir / LAST_CHECKPOINT
    written = note.read_text().strip() if note.is_file() else ''
    if not written:
        return None
    path = where_it_is_now(written, work_dir)
    if path.is_file():
        return path
    raise CheckpointError(
        f'{note} names {written}, which does not exist; give the checkpoint '
        f'by --resume PATH, or delete {note} to start from the beginning.'
    )


def where_it_is_now(written: str, work_dir: str | Path) -> Path:
    """Where a checkpoint is whose work folder may have been moved or copied.

    Args:
        written (str): The path that was written down when it was saved.
        work_dir (str | Path): The work folder now.

    Returns:
        Path: The file of that name in ``work_dir`` if ``written`` is gone, or
        if it lies in another run's work folder, of which this one is a copy.
    """
    path = Path(written)
    here = Path(work_dir) / path.name
    copied = (path.parent / LAST_CHECKPOINT).is_file()
    return here if here.is_file() and (copied or not path.is_file()) else path


def check_work_dir(work_dir: str | Path) -> None:
    """Make ``work_dir`` and check that files can be written there.

    Raises:
        ValueError: The folder cannot be made or written.
    """
    check_folder(work_dir, 'work_dir', 'choose another with --work-dir')
