"""Linear maps by oneDNN on CPU: the same numbers, often twice as fast."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class OneDNNLinear(TorchFunctionMode):
    """Run ``torch.nn.functional.linear`` by oneDNN inside a ``with`` block.

    PyTorch's CPU build hands float32 products to MKL, which leaves the wider
    registers of CPUs that are not Intel's unused; oneDNN, which is built in
    as well, does not. Results agree to rounding (1e-6). Only for float32 on
    CPU without gradients or autocast: all else runs as ever.
    """

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence,
        args: Sequence = (),
        kwargs: Mapping | None = None,
    ) -> object:
        """Run ``func``, a linear map by oneDNN."""
        kwargs = kwargs or {}
        if func is functional.linear and not kwargs and _fits(*args[:2]):
            bias = args[2] if len(args) > 2 else None
            return torch.ops.mkldnn._linear_pointwise(
                *args[:2], bias, 'none', [], ''
            )
        return func(*args, **kwargs)


def has_one_dnn_linear() -> bool:
    """Whether this build of PyTorch has what :class:`OneDNNLinear` calls."""
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, '_linear_pointwise'
    )


def _fits(inputs: Tensor, weight: Tensor) -> bool:
    """Plain float32 on the CPU, and nothing to differentiate."""
    return (
        all(
            each.device.type == 'cpu' and each.dtype == torch.float32
            for each in (inputs, weight)
        )
        and inputs.ndim > 1
        and inputs.numel() > 0
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled('cpu')
    )
