"""What training by several processes needs beside mmengine's own."""

import atexit
from collections.abc import Mapping
from datetime import timedelta

import torch

from .config_keys import ConfigError

# Options of mmengine's `init_dist` that choose how GPUs talk.
_OF_GPUS = ('backend', 'init_backend')


def init_gloo(dist_cfg: Mapping) -> None:
    """Let processes on CPUs talk over gloo.

    Args:
        dist_cfg (Mapping): As in mmengine's ``env_cfg``: ``timeout`` in
            seconds and what ``init_process_group`` takes. The backend is that
            of GPUs and left out.

    Raises:
        ConfigError: The timeout is no number.
    """
    options = {k: v for k, v in dist_cfg.items() if k not in _OF_GPUS}
    seconds = options.get('timeout')
    if seconds is not None:
        try:
            options['timeout'] = timedelta(seconds=seconds)
        except TypeError as error:
            raise ConfigError(
                f'env_cfg.dist_cfg.timeout is {seconds!r}; it must be a '
                f'number of seconds, such as 7200.'
            ) from error
    torch.distributed.init_process_group('gloo', **options)
    # Its threads must be gone before the interpreter is.
    atexit.register(_leave_process_group)


def _leave_process_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
