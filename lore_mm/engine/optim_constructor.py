"""Groups of trained weights for the optimizer."""

from collections.abc import Mapping
from difflib import get_close_matches

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIMIZERS
from torch import nn

from lore_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS

_OPTIONS = {'custom_keys', 'flat_decay_mult'}
_MULTIPLIERS = {'lr_mult', 'decay_mult'}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Group trained weights by learning rate and weight decay.

    mmengine's default constructor makes one group of each tensor and logs a
    warning for each frozen one; this one makes as many groups as there are
    pairs of rates, and logs one line for each.

    ``paramwise_cfg`` has the keys

    - ``custom_keys``: part of a parameter's name to ``dict(lr_mult=...,
      decay_mult=...)``; the longest part that fits counts. Without
      ``decay_mult`` the next rule holds.
    - ``flat_decay_mult``: for parameters with one dimension, which biases and
      the gains of norms are.

    Args:
        optim_wrapper_cfg (dict): As in mmengine.
        paramwise_cfg (dict, optional): See above. Defaults to None.

    Raises:
        ValueError: The optimizer or an option is unknown, or a multiplier has
            no rate to multiply.
    """

    def __init__(
        self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None
    ) -> None:
        kind = optim_wrapper_cfg.get('optimizer', {}).get('type')
        if isinstance(kind, str):
            _check_optimizer(kind)
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        # A ConfigDict would make such of the groups put into it, and
        # torch.compile cannot trace an optimizer whose groups are those.
        self.optimizer_cfg = dict(self.optimizer_cfg)

    def _validate_cfg(self) -> None:
        cfg = self.paramwise_cfg
        _check_names('paramwise_cfg', cfg, _OPTIONS)
        given = {'decay_mult'} if 'flat_decay_mult' in cfg else set()
        for key, rule in cfg.get('custom_keys', {}).items():
            _check_names(f'custom_keys[{key!r}]', rule, _MULTIPLIERS)
            given |= set(rule)
        bases = dict(lr_mult=self.base_lr, decay_mult=self.base_wd)
        for name in sorted(given):
            if bases[name] is None:
                raise ValueError(
                    f'{name} in paramwise_cfg needs a rate to multiply: give '
                    f'the optimizer lr and weight_decay.'
                )

    def add_params(
        self, params: list[dict], module: nn.Module, **kwargs
    ) -> None:
        """Add the groups of ``module`` to ``params``."""
        groups: dict[tuple, dict] = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            rates = self._rates(name, param.ndim)
            group = groups.setdefault(
                tuple(rates.items()), dict(params=[], **rates)
            )
            group['params'].append(param)
        params.extend(groups.values())
        for group in groups.values():
            number = sum(param.numel() for param in group['params'])
            print_log(
                f'optimizer: {len(group["params"])} tensors, {number:,} '
                f'weights, lr {group.get("lr")}, weight decay '
                f'{group.get("weight_decay")}',
                logger='current',
            )

    def _rates(self, name: str, ndim: int) -> dict[str, float]:
        """Learning rate and weight decay of a parameter."""
        keys = self.paramwise_cfg.get('custom_keys', {})
        fitting = [key for key in keys if key in name]
        rule = keys[max(fitting, key=len)] if fitting else {}
        decay_mult = 1.0
        if ndim <= 1:
            decay_mult = self.paramwise_cfg.get('flat_decay_mult', 1.0)
        rates = {}
        if self.base_lr is not None:
            rates['lr'] = self.base_lr * rule.get('lr_mult', 1.0)
        if self.base_wd is not None:
            decay_mult = rule.get('decay_mult', decay_mult)
            rates['weight_decay'] = self.base_wd * decay_mult
        return rates


def _check_optimizer(kind: str) -> None:
    """See that a registry, which the scope of the run chooses, has it."""
    with OPTIMIZERS.switch_scope_and_registry(None) as registry:
        if registry.get(kind) is not None:
            return
        known = {*OPTIMIZERS.module_dict, *registry.module_dict}
    near = ', '.join(get_close_matches(kind, known))
    raise ValueError(
        f'there is no optimizer {kind!r}; like it: {near or "none"}.'
    )


def _check_names(where: str, given: Mapping, known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(
            f'{where} has the unknown key {unknown[0]!r}; it takes '
            f'{" and ".join(sorted(known))}.'
        )
