"""Numbers of a config that no library refuses by their key."""

import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from lore_mm.engine import ConfigError
from lore_mm.engine.config_values import check_config_values

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def nested(key, value):
    cfg = Config(dict())
    cfg.merge_from_dict({key: value})
    return cfg


@pytest.mark.parametrize(
    'key,value,rule',
    [
        ('train_cfg.val_interval', 0, 'a whole number, at least 1, got 0'),
        ('train_cfg.max_epochs', 1.5, 'a whole number, at least 1, got 1.5'),
        ('train_cfg.max_epochs', float('nan'), 'at least 1, got nan'),
        ('train_cfg.max_iters', float('inf'), 'at least 1, got inf'),
        ('train_cfg.val_begin', -1, 'a whole number, at least 0, got -1'),
        ('train_dataloader.num_workers', 'two', "at least 0, got 'two'"),
        ('val_dataloader.num_workers', True, 'at least 0, got True'),
        ('test_dataloader.batch_size', 0, 'at least 1, got 0'),
        ('randomness.seed', 2**32, '0..4294967295, got 4294967296'),
        ('optim_wrapper.optimizer.lr', 'abc', "0.001, got 'abc'"),
        ('optim_wrapper.optimizer.weight_decay', [1], r'0.001, got \[1'),
    ],
)
def test_wrong_number_is_named(key, value, rule):
    with pytest.raises(ConfigError, match=f'^{key} must be .*{rule}'):
        check_config_values(nested(key, value))


@pytest.mark.parametrize(
    'key,value',
    [
        ('train_cfg.max_iters', 1e3),
        ('train_cfg.val_begin', sys.maxsize),  # of --no-validate
        ('train_cfg', None),
        ('randomness.seed', None),
        ('test_dataloader.batch_size', None),  # a batch sampler has it
        ('optim_wrapper.optimizer.lr', 1),
    ],
)
def test_right_number_passes(key, value):
    check_config_values(nested(key, value))


def test_shipped_configs_pass():
    for path in CONFIGS.glob('lore/*.py'):
        check_config_values(Config.fromfile(path))
