"""Mixed precision where there is no CUDA."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

from lore_mm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward and loss under autocast to bfloat16, on any device.

    mmengine's ``AmpOptimWrapper`` needs a GPU. bfloat16 has the range of
    float32, so no loss scaling is needed. Takes the arguments of
    :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around mmengine's gradient accumulation context."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
