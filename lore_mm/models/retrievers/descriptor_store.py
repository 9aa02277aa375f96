"""Descriptors on disk: found by what they were made from, read as needed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

DTYPES = ('float32', 'float16')

# Counts up when the same model and images give other descriptors.
_FORMAT = 1
_ROWS = 65536


def descriptor_key(
    model: nn.Module, config: Mapping, images: Sequence[str]
) -> str:
    """Name of the descriptors that a model gives some images.

    Args:
        model (nn.Module): All its weights and buffers count.
        config (Mapping): What else they depend on: the model's config, the
            pipeline, precision.
        images (Sequence[str]): One line for each image, in order.

    Returns:
        str: 32 hexadecimal digits.
    """
    digest = hashlib.sha256(str(_FORMAT).encode())
    text = json.dumps(config, sort_keys=True, default=repr)
    digest.update(text.encode())
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(f'{name}|{tuple(tensor.shape)}|{tensor.dtype}'.encode())
        data = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(data.view(torch.uint8).numpy().data)
    for line in images:
        digest.update(f'{len(line)}:{line}'.encode())
    return digest.hexdigest()[:32]


def open_descriptors(path: str | Path) -> np.ndarray:
    """Memory-map descriptors (n, D) that were written before, read-only.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        return np.load(path, mmap_mode='r', allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"descriptors '{path}' are damaged: {error}; delete the file."
        ) from error


class DescriptorStore:
    """A file of descriptors that is being written.

    Several processes may write rows of one file at the same time. It gets
    its name only when it is complete.

    Args:
        path (str | Path): The file to be, ``.npy``.
        num_rows (int): Number of images.
        dims (int): Width of a descriptor.
        dtype (str): ``'float32'`` or ``'float16'``.
        create (bool): Make the file; other processes open the one that is
            there. Defaults to True.

    Raises:
        ValueError: Another run is writing this file.
    """

    def __init__(
        self,
        path: str | Path,
        num_rows: int,
        dims: int,
        dtype: str = 'float32',
        create: bool = True,
    ) -> None:
        check_dtype(dtype)
        self.path = Path(path)
        self.part = self.path.with_suffix('.part')
        self._lock = None
        if create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.path)
            self.array = np.lib.format.open_memmap(
                self.part, 'w+', dtype, (num_rows, dims)
            )
        else:
            self.array = np.lib.format.open_memmap(self.part, 'r+')

    def write(self, row: int, descriptor: Tensor) -> None:
        """Write the descriptor (D,) of one image."""
        self.array[row] = descriptor.detach().float().cpu().numpy()

    def flush(self) -> None:
        """Hand what was written to the disk."""
        self.array.flush()

    def finish(self) -> Path:
        """Check that no row is missing, and give the file its name.

        Raises:
            ValueError: A row was not written or is not finite.
        """
        try:
            self.flush()
            check_descriptors(self.array)
            self.part.replace(self.path)
        finally:
            if self._lock is not None:
                Path(self._lock.lock_file).unlink(missing_ok=True)
                self._lock.release()
        return self.path


def _lock(path: Path) -> FileLock:
    """Held while the file is written; the system frees it of a killed run.

    Two runs of the same model and images would write over one another.
    """
    lock = FileLock(path.with_suffix('.lock'), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"descriptors '{path}' are being written by another run of the "
            'same model and images: wait for it, or take another cache_dir.'
        ) from error
    return lock


def check_dtype(dtype: str) -> None:
    """Raise ``ValueError`` unless descriptors can be stored as ``dtype``."""
    if dtype not in DTYPES:
        raise ValueError(
            f'the dtype of descriptors must be one of {DTYPES}, got {dtype!r}.'
        )


def check_descriptors(descriptors: np.ndarray) -> None:
    """Raise ``ValueError`` if a row is all zero (missing) or not finite."""
    for start in range(0, len(descriptors), _ROWS):
        part = descriptors[start : start + _ROWS].astype(np.float32)
        lengths = np.linalg.norm(part, axis=1)
        wrong = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(wrong):
            raise ValueError(
                f'the descriptor of image {start + wrong[0]} is missing or '
                f'not finite ({len(wrong)} such in this block); check the '
                f'weights.'
            )
