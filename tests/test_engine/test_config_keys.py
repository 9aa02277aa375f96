"""Misspelt config keys are refused, with a suggestion."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

from lore_mm.engine import ConfigError, check_config_keys
from lore_mm.engine.config_keys import check_options

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@pytest.mark.parametrize(
    'key,meant',
    [
        ('optim_wraper', 'optim_wrapper'),
        ('train_dataloder', 'train_dataloader'),
        ('defaulthooks', 'default_hooks'),
        ('custom_hook', 'custom_hooks'),
        ('randomnes', 'randomness'),
    ],
)
def test_misspelt_key(key, meant):
    with pytest.raises(
        ConfigError, match=f"key '{key}' .did you mean '{meant}'"
    ):
        check_config_keys(Config({key: 1, 'model': {}}))


def test_unlike_anything():
    with pytest.raises(ConfigError, match="key 'zzz'; start .* underscore"):
        check_config_keys(dict(zzz=1))


def test_helper_variables():
    check_config_keys(dict(_mine=1, data_root='x', train_pipeline=[]))


@pytest.mark.parametrize(
    'path',
    sorted(CONFIGS.rglob('*.py')),
    ids=lambda path: str(path.relative_to(CONFIGS)),
)
def test_shipped_configs(path):
    check_config_keys(Config.fromfile(path))


def test_refused_before_anything_is_built(tiny_config, tiny_runner, tmp_path):
    with pytest.raises(ConfigError, match="'optim_wraper'"):
        tiny_runner(optim_wraper=dict())
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize(
    'options,key',
    [
        (dict(model__backbone__white_box__num_globl=3), 'num_globl'),
        (dict(model__backbone__black_bx={}), 'black_bx'),
        (dict(model__head__scal=3), 'scal'),
    ],
)
def test_misspelt_key_of_a_part_is_named(tiny_runner, options, key):
    with pytest.raises(TypeError, match=f"argument '{key}'"):
        tiny_runner(**options)


@pytest.mark.parametrize(
    'options,key',
    [
        (dict(optim_wrapper__optimizer__lrr=3), 'lrr'),
        (dict(optim_wrapper__clip=3), 'clip'),
        (dict(train_cfg__max_epoch=3), 'max_epoch'),
        (dict(train_dataloader__batchsize=3), 'batchsize'),
        (dict(train_dataloader__dataset__splitt=3), 'splitt'),
    ],
)
def test_misspelt_key_of_the_training_is_named(tiny_runner, options, key):
    with pytest.raises(TypeError, match=f"argument '{key}'"):
        tiny_runner(**options).train()


@pytest.mark.parametrize('key', ['img_size', 'dataset.data_root'])
def test_option_that_would_change_nothing(key):
    with pytest.raises(ConfigError, match=f"'{key}' would change nothing"):
        check_options({'train_cfg.max_epochs': 1, key: 126})


def test_other_options_pass():
    check_options({'train_dataloader.dataset.data_root': 'x', '_own': 1})


@pytest.mark.parametrize(
    'options,said',
    [
        (
            dict(randomness__sed=1),
            "unknown config key 'sed' (did you mean 'seed'?) in randomness",
        ),
        (
            dict(env_cfg__cudnn_benchmar=True),
            "'cudnn_benchmar' (did you mean 'cudnn_benchmark'?) in env_cfg",
        ),
        (
            dict(default_hooks__chekpoint__interval=1),
            "hook 'chekpoint' (did you mean 'checkpoint'?) in default_hooks "
            'has no type',
        ),
        (dict(custom_hooks=[dict(interval=1)]), 'custom_hooks.0 has no type'),
        (dict(model=None), 'model is None; it must be a dict with a type'),
    ],
)
def test_what_no_constructor_would_refuse(tiny_runner, options, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        tiny_runner(**options)


@pytest.mark.parametrize('key', ['intervall', 'filename'])
def test_wrong_key_of_the_checkpoints_is_named_at_once(tiny_runner, key):
    with pytest.raises(TypeError, match=f"argument '{key}'"):
        tiny_runner(**{f'default_hooks__checkpoint__{key}': 2})
