"""The model without what wraps it for several processes."""

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """A model without a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


def bare_model(runner: Runner) -> nn.Module:
    """The runner's model without a distributed wrapper."""
    return unwrapped(runner.model)
