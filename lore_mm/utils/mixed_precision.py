"""Where mixed precision pays."""

import torch
from mmengine.device import get_device

# How torch asks the processor; a version may lack one of them.
_QUESTIONS = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')


def mixed_precision_pays(device: str | None = None) -> bool:
    """Whether ``--amp`` makes a run quicker.

    A CPU that does not multiply bfloat16 itself emulates it, several times
    slower than float32.

    Args:
        device (str, optional): As in torch, ``'cuda'`` or ``'cpu'``; the one
            that mmengine takes by default.
    """
    device = device or get_device()
    return device == 'cuda' or device == 'cpu' and _cpu_has_bfloat16()


def _cpu_has_bfloat16() -> bool:
    questions = (getattr(torch.cpu, name, None) for name in _QUESTIONS)
    return any(ask() for ask in questions if ask)
