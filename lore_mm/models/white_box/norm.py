"""Norms over tokens, channels last, and linear maps folded with them."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

NORMS = ('batch', 'layer', 'none')


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch norm over all leading dimensions of a (..., C) tensor.

    In training with several processes the statistics are those of the whole
    batch, on any device (``torch.nn.SyncBatchNorm`` needs a GPU).

    With ``frozen_statistics`` the running statistics are used in training
    too, so that training and test agree; see
    :class:`lore_mm.engine.hooks.NormStatisticsHook`. A single sample, such as
    a last batch of one image, has no statistics: the running ones are used.
    """

    def __init__(self, dims: int, **kwargs) -> None:
        super().__init__(dims, **kwargs)
        self.frozen_statistics = False
        self.measuring = False

    def start_measuring(self) -> None:
        """From now on collect this process's plain average of statistics."""
        self.reset_running_stats()
        self.measuring = True

    def stop_measuring(self) -> None:
        """Back to normal; the running statistics are those measured."""
        self.measuring = False

    def _check_input_dim(self, x: Tensor) -> None:
        if x.shape[-1] != self.num_features:
            raise ValueError(
                f'the last dimension must be {self.num_features}, '
                f'got {tuple(x.shape)}.'
            )

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., C)."""
        self._check_input_dim(x)
        rows = x.reshape(-1, self.num_features)  # (R, C)
        several = dist.is_initialized() and dist.get_world_size() > 1
        alone = len(rows) < 2 and not several
        if self.measuring:
            out = self._measured(rows)
        elif not self.training or self.frozen_statistics or alone:
            out = F.batch_norm(
                rows,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                eps=self.eps,
            )
        elif several:
            out = self._synchronised(rows)
        else:
            out = super().forward(rows)
        return out.view(x.shape)

    def _measured(self, rows: Tensor) -> Tensor:
        self.num_batches_tracked += 1
        return F.batch_norm(
            rows,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=True,
            momentum=1.0 / float(self.num_batches_tracked),
            eps=self.eps,
        )

    def _synchronised(self, rows: Tensor) -> Tensor:
        """Statistics over the rows of all processes, differentiable."""
        rows32 = rows.float()
        count = rows32.new_full((1,), float(len(rows32)))
        sums = _SumOverProcesses.apply(torch.cat([rows32.sum(0), count]))
        total = sums[-1]
        mean = sums[:-1] / total
        # Not as mean of squares minus squared mean, which cancels: few rows
        # and small variances are common here.
        var = _SumOverProcesses.apply(((rows32 - mean) ** 2).sum(0)) / total
        with torch.no_grad():
            self.num_batches_tracked += 1
            rate = self.momentum
            if rate is None:
                rate = 1.0 / float(self.num_batches_tracked)
            unbiased = var * total / (total - 1)
            self.running_mean.lerp_(mean, rate)
            self.running_var.lerp_(unbiased, rate)
        out = (rows32 - mean) * torch.rsqrt(var + self.eps)
        return (out * self.weight + self.bias).to(rows.dtype)


class _SumOverProcesses(torch.autograd.Function):
    """Sum over all processes; the gradients are summed likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad


def build_norm(kind: str, dims: int) -> nn.Module:
    """``batch`` (the paper), ``layer`` or ``none`` over ``dims`` channels.

    Raises:
        ValueError: ``kind`` is none of these.
    """
    if kind == 'batch':
        return TokenBatchNorm(dims)
    if kind == 'layer':
        return nn.LayerNorm(dims)
    if kind == 'none':
        return nn.Identity()
    raise ValueError(f'norm must be one of {NORMS}, got {kind!r}.')


class LinearNorm(nn.Module):
    """A 1x1 convolution on tokens followed by a norm.

    Tokens are channels last, so the convolution is a linear map. In eval mode
    without gradients a batch norm is folded into it; the folded weights are
    kept until a weight changes or the mode is set.

    Args:
        in_dims (int): Input channels.
        out_dims (int): Output channels.
        groups (int): Channel groups of the convolution. Defaults to 1.
        norm (str): ``batch``, ``layer`` or ``none``. Defaults to ``batch``.
        bias (bool): Whether the map has a bias. Defaults to True.
    """

    def __init__(
        self,
        in_dims: int,
        out_dims: int,
        groups: int = 1,
        norm: str = 'batch',
        bias: bool = True,
    ) -> None:
        super().__init__()
        if in_dims % groups or out_dims % groups:
            raise ValueError(
                f'groups must divide {in_dims} and {out_dims}, got {groups}.'
            )
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_dims, in_dims // groups))
        self.bias = nn.Parameter(torch.zeros(out_dims)) if bias else None
        self.norm = build_norm(norm, out_dims)
        self._folded: tuple | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming-normal weight and zero bias."""
        nn.init.kaiming_normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def train(self, mode: bool = True) -> 'LinearNorm':
        """Set the mode; drop the folded weights.

        Fused optimizers, and mmengine's EMAHook before each validation,
        change a weight unseen by :func:`versions`.
        """
        self._folded = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_dims) to (..., out_dims)."""
        if self.can_fold():
            weight, bias = self.folded()
            return grouped_linear(x, weight, bias, self.groups)
        x = grouped_linear(x, self.weight, self.bias, self.groups)
        return self.norm(x)

    def can_fold(self) -> bool:
        """Whether the norm is a constant affine map now."""
        if self.training or torch.is_grad_enabled():
            return False
        norm = self.norm
        if isinstance(norm, TokenBatchNorm):
            return not norm.measuring
        return isinstance(norm, nn.Identity)

    def folded(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias with the batch norm in them."""
        norm = self.norm
        if isinstance(norm, nn.Identity):
            return self.weight, self.bias
        sources = [self.weight, norm.weight, norm.bias]
        sources += [norm.running_mean, norm.running_var]
        if self.bias is not None:
            sources.append(self.bias)
        state = versions(sources)
        if self._folded is None or self._folded[0] != state:
            gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            shift = norm.bias - norm.running_mean * gain
            if self.bias is not None:
                shift = shift + self.bias * gain
            folded = self.weight * gain[:, None], shift
            self._folded = (state, folded, [t.detach() for t in sources])
        return self._folded[1]


def grouped_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, groups: int = 1
) -> Tensor:
    """Linear map of (..., I) to (..., O); weight (O, I / groups)."""
    if groups == 1:
        return F.linear(x, weight, bias)
    rows = x.reshape(-1, groups, weight.shape[1]).transpose(0, 1)  # (G, R, i)
    kernel = weight.view(groups, -1, weight.shape[1])  # (G, o, i)
    out = torch.matmul(rows, kernel.transpose(1, 2))  # (G, R, o)
    out = out.transpose(0, 1).reshape(*x.shape[:-1], weight.shape[0])
    return out if bias is None else out + bias


def versions(tensors: list[Tensor]) -> tuple:
    """A key that changes when any tensor is written to or replaced.

    Not when it is written to through ``.data`` or by a fused optimizer, so
    drop what the key is for when the mode is set. Keep the tensors' memory
    (``detach()`` shares it) beside the key: once it is free, another tensor
    may get the same address.
    """
    return tuple(
        (t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors
    )
