"""Refuse misspelt keys of a config before anything is built."""

import difflib
import inspect
from collections.abc import Mapping

from mmengine.runner import Runner

# Keys that mmengine and mmpretrain's tools read beside Runner's arguments.
_READ_ELSEWHERE = {
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'env_variables',
    'find_unused_parameters',
    'gpu_ids',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
}

# Helper variables that the base configs of this package and of the OpenMMLab
# projects use to build other values; nothing reads them from the config.
_HELPERS = {
    'bgr_mean',
    'bgr_std',
    'black_box',
    'class_names',
    'crop_size',
    'data_root',
    'dataset',
    'dataset_type',
    'embed_dims',
    'img_size',
    'knowledge',
    'max_epochs',
    'num_classes',
    'out_dims',
    'pooled_dims',
    'template',
    'templates',
    'test_pipeline',
    'text_dims',
    'train_pipeline',
    'val_pipeline',
    'vis_backends',
}


class ConfigError(ValueError):
    """A config that cannot be run."""


def known_config_keys() -> set[str]:
    """All top-level keys that a config may have."""
    arguments = set(inspect.signature(Runner.__init__).parameters)
    return (arguments - {'self', 'cfg'}) | _READ_ELSEWHERE | _HELPERS


def without_helpers(cfg: Mapping) -> dict:
    """The top-level keys of a config but those of helper variables."""
    return {
        key: value
        for key, value in cfg.items()
        if key not in _HELPERS and key[:1] != '_'
    }


def check_config_keys(cfg: Mapping) -> None:
    """Check the top-level keys of a config.

    mmengine's ``Runner.from_cfg`` passes over a key that it does not know, so
    that ``optim_wraper`` trains with another optimizer, or none. Misspelt
    keys further down reach a constructor, which names them itself.

    Args:
        cfg (Mapping): A config, with all its bases and options merged.

    Raises:
        ConfigError: A key is unknown. Own helper variables are allowed when
            their names start with an underscore.
    """
    known = known_config_keys()
    unknown = [key for key in cfg if key not in known and key[:1] != '_']
    if not unknown:
        return
    named = []
    for key in unknown:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
        named.append(
            f'{key!r} (did you mean {near[0]!r}?)' if near else repr(key)
        )
    raise ConfigError(
        f'unknown config key {", ".join(named)}; start the name of a helper '
        f'variable with an underscore.'
    )


def check_options(options: Mapping) -> None:
    """Refuse options that set a helper variable of a config.

    By the time ``--cfg-options`` are merged the config has used the variable
    up, so the option would change nothing.

    Args:
        options (Mapping): Dotted keys and their values.

    Raises:
        ConfigError: An option begins with a helper variable.
    """
    useless = [key for key in options if key.split('.')[0] in _HELPERS]
    if useless:
        raise ConfigError(
            f'--cfg-options {", ".join(map(repr, useless))} would change '
            f'nothing: the config has already used that variable. Set what '
            f'was built from it, such as train_dataloader.dataset.data_root, '
            f'or the environment variable named in configs/README.md.'
        )
