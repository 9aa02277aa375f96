"""Build a model for inference: what all inferencers share."""

import copy
import re
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope

from lore_mm.engine.config_file import read_config_file
from lore_mm.engine.config_keys import ConfigError
from lore_mm.engine.files import CheckpointError, safe_load_checkpoint
from lore_mm.engine.num_classes import (
    data_classes,
    fill_num_classes,
    set_num_classes,
)
from lore_mm.engine.options import merge_options
from lore_mm.engine.saved_config import saved_config
from lore_mm.engine.tool_process import best_checkpoint
from lore_mm.engine.trained_weights import check_classes, load_trained_state
from lore_mm.models.heads.text_heads import TextHead
from lore_mm.registry import MODELS

ConfigSource = str | Path | Config

_CHECKPOINT_SUFFIXES = ('.pth', '.pt', '.ckpt')
_DEFAULT_SCOPE = 'mmpretrain'


def init_model(
    config: ConfigSource,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    cfg_options: dict | None = None,
) -> BaseModel:
    """Build a model as its config says, with trained weights, in eval mode.

    No training data is needed: the names and the number of the classes come
    from the checkpoint. Nor is a knowledge encoder, but for CoOp.

    Args:
        config (str | Path | Config): A config, or the path or the name of
            one. Or a checkpoint, or the work folder of a run (its best
            checkpoint, else its last): both carry their config.
        checkpoint (str | Path, optional): A checkpoint or a work folder.
            Defaults to None: what ``config`` names, or else a model with
            untrained weights, with a warning.
        device (str | torch.device, optional): Defaults to None: a GPU where
            there is one, else the CPU.
        cfg_options (dict, optional): Values of the config to override, by
            dotted keys.

    Returns:
        BaseModel: The model. ``cfg`` is its config; ``dataset_meta`` what the
        checkpoint tells of its data, ``classes`` among it where known.

    Raises:
        FileNotFoundError: There is no such config or work folder.
        CheckpointError: The checkpoint is missing, damaged, of another Black
            Box, of other classes, or does not fit the config.
        ConfigError: ``num_classes`` is None, and neither a checkpoint nor the
            data tell it; the config cannot be read; an option is misspelt.
        ValueError: This machine has no such device.

    Examples:
        >>> model = init_model('work_dirs/vit-s_textile')  # doctest: +SKIP
        >>> model = init_model(
        ...     'lore/vit-s_textile', 'best.pth', device='cpu',
        ...     cfg_options={'model.backbone.black_box.checkpoint': 'vit.pth'},
        ... )  # doctest: +SKIP
    """
    cfg, loaded = read_sources(config, checkpoint, cfg_options)
    model = build_model(cfg, loaded, device)
    if loaded is None and needs_training(cfg):
        warnings.warn(
            'no checkpoint is given: the model has untrained weights.',
            stacklevel=2,
        )
    return model


def read_sources(
    config: ConfigSource,
    checkpoint: str | Path | None = None,
    cfg_options: dict | None = None,
) -> tuple[Config, dict | None]:
    """Config and checkpoint of :func:`init_model`'s arguments.

    Returns:
        tuple: A config of its own, with the options; and the content of the
        checkpoint, or None. Its path is added as ``filename``.

    Raises:
        FileNotFoundError: There is no such config or work folder.
        CheckpointError: The checkpoint cannot be read, or carries no config
            where none is given.
        ConfigError: The config cannot be read, or an option is misspelt.
    """
    if checkpoint is None and _is_checkpoint(config):
        loaded = _read_checkpoint(config)
        try:
            cfg = saved_config(loaded)
        except CheckpointError as error:
            raise CheckpointError(f'{config}: {error}') from error
    else:
        if isinstance(config, Config):
            cfg = copy.deepcopy(config)
        else:
            cfg = read_config_file(config)
        loaded = None if checkpoint is None else _read_checkpoint(checkpoint)
    if cfg_options:
        merge_options(cfg, cfg_options)
    return cfg, loaded


def build_model(
    cfg: Config,
    loaded: dict | None = None,
    device: str | torch.device | None = None,
) -> BaseModel:
    """Build the model of ``cfg``, fill it from a checkpoint, in eval mode.

    Args:
        cfg (Config): Its numbers of classes are filled in place.
        loaded (dict, optional): A checkpoint of :func:`read_sources`.
        device (str | torch.device, optional): See :func:`init_model`.

    Raises:
        CheckpointError, ConfigError: See :func:`init_model`.
        ValueError: This machine has no such device.
    """
    device = _usable_device(device)
    meta = {} if loaded is None else loaded.get('meta', {})
    _fill_classes(cfg, meta.get('classes'), loaded)
    model_cfg = copy.deepcopy(cfg.model)  # building changes it
    if cfg.get('data_preprocessor') is not None:
        model_cfg.setdefault(
            'data_preprocessor', copy.deepcopy(cfg.data_preprocessor)
        )
    with default_scope(cfg):
        model = MODELS.build(model_cfg)
    if loaded is not None:
        load_trained_state(model, loaded, loaded['filename'])
    model.cfg = cfg
    model.dataset_meta = _dataset_meta(cfg, meta)
    _set_text_head(model, trained=loaded is not None)
    return model.to(device).eval()


def without_white_box(cfg: Config) -> Config:
    """Leave the White Box out of ``cfg``, in place: the bare Black Box."""
    backbone = cfg.model.get('backbone')
    if backbone and 'white_box' in backbone:
        backbone.white_box = None
    return cfg


def default_scope(cfg: Config) -> AbstractContextManager:
    """Context in which types without a prefix are those of ``cfg``."""
    return DefaultScope.overwrite_default_scope(
        cfg.get('default_scope', _DEFAULT_SCOPE)
    )


def model_device(model: BaseModel) -> torch.device:
    """Where the weights of a model are."""
    return next(model.parameters()).device


def needs_training(cfg: Config) -> bool:
    """Whether a model has weights that only training makes useful."""
    backbone = cfg.model.get('backbone') or {}
    return bool(backbone.get('white_box') or cfg.model.get('head'))


def _usable_device(device: str | torch.device | None) -> torch.device:
    """The device to use, tried before anything is built for it."""
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        return torch.empty(0, device=device).device
    # torch without CUDA raises the first of them, or asserts.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = re.split(r'\.\s|\n', str(error))[0].rstrip('.')
        raise ValueError(
            f"device '{device}' cannot be used here ({reason}); take 'cpu', "
            'or leave it out: a GPU where there is one, else the CPU.'
        ) from error


def _is_checkpoint(source: ConfigSource) -> bool:
    if isinstance(source, Config):
        return False
    path = Path(source)
    return path.is_dir() or path.suffix in _CHECKPOINT_SUFFIXES


def _read_checkpoint(source: str | Path) -> dict:
    path = Path(source)
    if path.is_dir():
        source = best_checkpoint(path)
    loaded = safe_load_checkpoint(source)
    if 'state_dict' not in loaded:  # the tensors alone
        loaded = dict(state_dict=loaded)
    return dict(loaded, filename=str(source))


def _fill_classes(
    cfg: Config, classes: list[str] | None, loaded: Mapping | None
) -> None:
    """Number of classes, from the checkpoint or else from the data."""
    if not _has_classes(cfg):
        return
    if loaded is not None and classes is not None:
        try:
            check_classes(classes, _named_classes(cfg))
            set_num_classes(cfg, len(classes), 'the checkpoint')
        except (CheckpointError, ConfigError) as error:
            raise CheckpointError(f'{loaded["filename"]}: {error}') from error
        return
    try:
        fill_num_classes(cfg)
    except FileNotFoundError as error:
        head = cfg.model.get('head') or cfg.model.decode_head
        named = _named_classes(cfg)
        number = len(named) if named else head.get('num_classes')
        if number is None:
            raise ConfigError(
                'num_classes is None, and neither a checkpoint nor the data '
                f'tell it ({error}); give a checkpoint, or '
                'model.head.num_classes by cfg_options.'
            ) from error
        set_num_classes(cfg, number, 'the config')


def _has_classes(cfg: Config) -> bool:
    return bool(cfg.model.get('head') or cfg.model.get('decode_head'))


def _named_classes(cfg: Config) -> list[str] | None:
    """Class names that the config itself gives."""
    for name in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
        dataset = (cfg.get(name) or {}).get('dataset')
        while isinstance(dataset, Mapping):
            classes = (dataset.get('metainfo') or {}).get('classes')
            if isinstance(classes, list | tuple):
                return [str(each) for each in classes]
            dataset = dataset.get('dataset')
    return None


def _dataset_meta(cfg: Config, meta: Mapping) -> dict:
    """What is known of the data, with ``classes`` where they are known."""
    facts = dict(meta.get('dataset_meta') or {})
    classes = meta.get('classes') or _named_classes(cfg)
    if not classes and _has_classes(cfg):
        classes = data_classes(cfg)
    if classes:
        facts['classes'] = tuple(classes)
    return facts


def _set_text_head(model: BaseModel, trained: bool) -> None:
    """Give a head made of texts the texts that no checkpoint brought."""
    head = getattr(model, 'head', None)
    if not isinstance(head, TextHead):
        return
    if trained and hasattr(head, 'class_embeddings'):
        return
    classes = model.dataset_meta.get('classes')
    if classes is None:
        raise ConfigError(
            f'{type(head).__name__} compares images with the names of the '
            'classes: give a checkpoint, the data, or '
            'metainfo=dict(classes=[...]) in test_dataloader.dataset.'
        )
    head.set_classes(classes)
