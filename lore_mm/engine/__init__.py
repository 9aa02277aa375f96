"""Runner, hooks and files of a training."""

from . import hooks
from .config_keys import ConfigError, check_config_keys, known_config_keys
from .files import CheckpointError, latest_checkpoint, safe_load_checkpoint
from .num_classes import fill_num_classes
from .optim import BFloat16OptimWrapper
from .optim_constructor import TrainedOptimWrapperConstructor
from .retrieval_loop import RetrievalTestLoop
from .runner import LORERunner
from .trained_weights import load_trained_weights

__all__ = [
    'BFloat16OptimWrapper',
    'CheckpointError',
    'ConfigError',
    'LORERunner',
    'RetrievalTestLoop',
    'TrainedOptimWrapperConstructor',
    'check_config_keys',
    'fill_num_classes',
    'hooks',
    'known_config_keys',
    'latest_checkpoint',
    'load_trained_weights',
    'safe_load_checkpoint',
]
