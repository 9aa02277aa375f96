"""Keep the known import noise of the stack out of our output."""

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO

# mmpretrain and mmseg print this, without a logger, when the client of a data
# service that nothing here uses is not installed.
_NOISE = 'Could not import OneDL'

# mmcv warns when it has no compiled operators; none are needed here.
_WARNING = 'Fail to import ``MultiScaleDeformableAttention``'


class _WithoutNoise(io.TextIOBase):
    """A stream that passes on all text but the lines that are noise."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._pending = ''

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._pending = (self._pending + text).split('\n')
        for line in lines:
            if line != _NOISE:
                self._stream.write(f'{line}\n')
        return len(text)

    def finish(self) -> None:
        """Pass on the last line if nothing ended it."""
        self._stream.write(self._pending)
        self._pending = ''


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Import mmpretrain or mmseg without their two lines of known noise.

    Anything else that is printed or warned about comes through. Filters are
    as they were when the block ends.
    """
    stream = _WithoutNoise(sys.stdout)
    try:
        with contextlib.redirect_stdout(stream), warnings.catch_warnings():
            warnings.filterwarnings('ignore', message=_WARNING)
            yield
    finally:
        stream.finish()
