"""What training by several processes needs beside mmengine's own."""

import atexit
from collections.abc import Mapping
from datetime import timedelta

import torch
from mmengine.model import convert_sync_batchnorm
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lore_mm.models.white_box.norm import TokenBatchNorm

from .config_keys import ConfigError

_SYNC_BN = ('torch', 'mmcv')
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


def synchronise_batch_norms(model: nn.Module, kind: str) -> None:
    """Replace the batch norms in ``model`` by those of ``sync_bn``.

    Not those over tokens: they synchronise by themselves, and their channels
    come last, where a ``SyncBatchNorm`` takes the tokens for channels.

    Args:
        model (nn.Module): Changed in place.
        kind (str): ``'torch'`` or ``'mmcv'``.

    Raises:
        ConfigError: The kind is unknown, or mmcv has no compiled operators.
    """
    if kind not in _SYNC_BN:
        raise ConfigError(
            f'sync_bn must be one of {_SYNC_BN} or None, got {kind!r}.'
        )
    for name, child in model.named_children():
        if isinstance(child, TokenBatchNorm):
            continue
        if not isinstance(child, _BatchNorm):
            synchronise_batch_norms(child, kind)
            continue
        try:
            setattr(model, name, convert_sync_batchnorm(child, kind))
        except ImportError as error:
            raise ConfigError(
                "sync_bn='mmcv' needs mmcv with compiled operators; set "
                "sync_bn='torch'."
            ) from error
