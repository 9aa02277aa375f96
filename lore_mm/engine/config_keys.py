"""Refuse misspelt keys of a config before anything is built."""

import inspect
from collections.abc import Iterable, Mapping

from mmengine.runner import Runner

from .suggestions import nearest

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


# What mmengine's Runner reads of these. It passes over other keys of env_cfg,
# and meets those of randomness with a traceback.
_SECTIONS = {
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'randomness': set(inspect.signature(Runner.set_randomness).parameters)
    - {'self'},
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
    """Check the keys of a config that no constructor would refuse.

    mmengine's ``Runner.from_cfg`` passes over a key that it does not know, so
    that ``optim_wraper`` trains with another optimizer, or none. Misspelt
    keys further down reach a constructor, which names them itself; but not
    those of ``env_cfg`` and ``randomness`` and the names of hooks.

    Args:
        cfg (Mapping): A config, with all its bases and options merged.

    Raises:
        ConfigError: A key is unknown, a hook has no type, or there is no
            model. Own helper variables are allowed when their names start
            with an underscore.
    """
    known = known_config_keys()
    unknown = [key for key in cfg if key not in known and key[:1] != '_']
    if unknown:
        named = ', '.join(_with_suggestion(key, known) for key in unknown)
        raise ConfigError(
            f'unknown config key {named}; start the name of a helper '
            f'variable with an underscore.'
        )
    for section, known in _SECTIONS.items():
        for key in cfg.get(section) or {}:
            if key not in known:
                raise ConfigError(
                    f'unknown config key {_with_suggestion(key, known)} in '
                    f'{section}, which takes {", ".join(sorted(known))}.'
                )
    _check_hooks(cfg)
    if not cfg.get('model', True):
        raise ConfigError(
            f'model is {cfg["model"]!r}; it must be a dict with a type.'
        )


def _check_hooks(cfg: Mapping) -> None:
    """A hook whose name is misspelt is one that has options but no type."""
    hooks = cfg.get('default_hooks') or {}
    for name, hook in hooks.items():
        if isinstance(hook, Mapping) and 'type' not in hook:
            named = _with_suggestion(name, set(hooks) - {name})
            raise ConfigError(
                f'the hook {named} in default_hooks has no type, so there is '
                f'nothing that its options could be for.'
            )
    for i, hook in enumerate(cfg.get('custom_hooks') or []):
        if isinstance(hook, Mapping) and 'type' not in hook:
            raise ConfigError(f'custom_hooks.{i} has no type: {dict(hook)}.')


def _with_suggestion(key: str, known: Iterable[str]) -> str:
    near = nearest(key, known)
    return f'{key!r} (did you mean {near!r}?)' if near else repr(key)


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
