"""Registries of lore_mm: children of mmengine's, under the scope ``lore_mm``.

In a config whose ``default_scope`` is ``mmpretrain`` or ``mmseg`` a type of
this package is written with its prefix, for example
``dict(type='lore_mm.LOREViT', ...)``; nested types too.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
)
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

SCOPE = 'lore_mm'

MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    locations=['lore_mm.models'],
    scope=SCOPE,
)
DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    locations=['lore_mm.datasets'],
    scope=SCOPE,
)
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    locations=['lore_mm.datasets'],
    scope=SCOPE,
)
METRICS = Registry(
    'metric',
    parent=MMENGINE_METRICS,
    locations=['lore_mm.evaluation'],
    scope=SCOPE,
)
HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    locations=['lore_mm.engine'],
    scope=SCOPE,
)
LOOPS = Registry(
    'loop',
    parent=MMENGINE_LOOPS,
    locations=['lore_mm.engine'],
    scope=SCOPE,
)
RUNNERS = Registry(
    'runner',
    parent=MMENGINE_RUNNERS,
    locations=['lore_mm.engine'],
    scope=SCOPE,
)
OPTIM_WRAPPERS = Registry(
    'optim_wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    locations=['lore_mm.engine'],
    scope=SCOPE,
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    locations=['lore_mm.engine'],
    scope=SCOPE,
)
