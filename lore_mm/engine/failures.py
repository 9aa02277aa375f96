"""How a tool ends: an expected failure is told in one line."""

import errno
import gc
import logging
import sys
import traceback
from collections.abc import Callable

import torch
from mmengine.logging import MMLogger

from lore_mm.utils import SetupError

from .hooks.finite_loss_hook import InvalidLossError
from .suggestions import meant_option

# Failures that a user can act on: shown as one line.
_EXPECTED = (
    ValueError,
    OSError,
    ImportError,  # a package that only an option needs
    SetupError,
    InvalidLossError,
)

# What a failure of a library reads like whose cause is the config or the data,
# and the way out where the library does not tell it.
_MARKS = {
    '__init__() ': '',
    'registry. Please check': '',
    'Cannot find CIFAR': '',
    'stack expects each tensor to be equal size': (
        'the images of a batch differ: resize or crop in the pipeline'
    ),
    'epoch_length` must be': (
        'the training set has fewer images than one batch: lower batch_size, '
        'or leave out drop_last'
    ),
    'AmpOptimizerWrapper`` is only available': (
        'give --amp, which takes what this machine has'
    ),
}

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run_main(main: Callable[[], None]) -> None:
    """Run a tool; end an expected failure with one line and status 1.

    Expected are errors that the user's files, config or disk cause. Their
    traceback goes to the log file of the run. Others keep theirs: they are
    bugs.
    """
    # A log file on a full disk must not bury the message under tracebacks.
    logging.raiseExceptions = False
    try:
        main()
    except Exception as error:
        if not is_expected(error):
            raise
        _fail(error)
    if torch.distributed.is_initialized():
        # Left to the interpreter's end, gloo's threads can abort a process
        # that has done its work. The model's wrapper holds the group, in a
        # cycle with the runner.
        gc.collect()
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def is_expected(error: Exception) -> bool:
    """Whether ``error`` has its cause in what the user gave."""
    return isinstance(error, _EXPECTED) or any(
        mark in str(error) for mark in _MARKS
    )


def _fail(error: Exception) -> None:
    """Print ``error`` in one line, keep its traceback in the log; status 1."""
    _log_traceback()
    sys.exit(f'error: {error_line(error)}')


def error_line(error: Exception) -> str:
    """The message of ``error`` without line breaks or wrapping.

    An error in a loading process arrives with its traceback as the message;
    its last line holds what was raised.
    """
    text = str(error.args[0]) if isinstance(error, KeyError) else str(error)
    if 'DataLoader worker process' in text:
        text = text.strip().splitlines()[-1].partition(': ')[2]
    text += meant_option(error)
    for mark, way_out in _MARKS.items():
        if mark in text and way_out:
            text = f'{text}; {way_out}'
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        text = f'{text}; checkpoints that were written before are whole'
    return ' '.join(text.split()) or type(error).__name__


def _log_traceback() -> None:
    """Write the current traceback to the log files, not to the screen."""
    logger = MMLogger.get_current_instance()
    record = logger.makeRecord(
        logger.name,
        logging.ERROR,
        __file__,
        0,
        traceback.format_exc(),
        (),
        None,
    )
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
