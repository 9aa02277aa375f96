"""The config of an adaptation: whole, in one file."""

import re
from argparse import Namespace
from pathlib import Path
from pprint import pformat

import torch
from mmengine.config import Config

from lore_mm.engine.config_keys import without_helpers
from lore_mm.engine.files import replace_when_done
from lore_mm.engine.launch import finish_config
from lore_mm.models.black_boxes import BlackBox
from lore_mm.utils import find_config

from .images import FolderFacts
from .result import SPLITS
from .settings import Settings

_LEAF = 'configs/lore/vit-b_folder.py'
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Keys of transforms that hold numbers of pixels.
_PIXELS = ('scale', 'crop_size', 'min_side')
_LOG_STEPS = 10
_DOCSTRING = 'Written by adapt; docs/adapt.md says what is in it.'
# mmengine puts the folder of the config there when it reads it, so that an
# output folder can be moved. Without spaces pformat does not break it up.
_HERE = '{{fileDirname}}'
_AMP_GPU, _AMP_CPU = 'AmpOptimWrapper', 'lore_mm.BFloat16OptimWrapper'


def make_config(
    settings: Settings,
    black_box: BlackBox,
    facts: FolderFacts,
    workers: int,
) -> Config:
    """LORE `extended` on a Black Box and a folder of images.

    It is ``configs/lore/vit-b_folder.py`` with another Black Box, size and
    folder; the learning rate follows the batch. Paths are absolute, so that
    the tools run it from anywhere, but for those in the output folder, which
    are those beside the file that is read.

    Args:
        settings (Settings): What was chosen.
        black_box (BlackBox): The frozen ViT, for its widths and statistics.
        facts (FolderFacts): What the folder holds.
        workers (int): Processes that load images.

    Returns:
        Config: For :func:`write_config`.
    """
    base = Config.fromfile(find_config(_LEAF))
    factor = settings.img_size / base.img_size
    cfg = Config(without_helpers(base.to_dict()))
    num_classes = len(facts.classes)
    cfg.work_dir = f'{_HERE}/train'
    cfg.randomness = dict(seed=settings.seed, deterministic=False)
    cfg.data_preprocessor = dict(
        num_classes=num_classes,
        mean=list(black_box.mean),
        std=list(black_box.std),
        to_rgb=False,
    )
    _fill_model(cfg.model, settings, black_box, num_classes)
    for name in _LOADERS:
        loader = cfg[name]
        loader.batch_size = settings.batch_size
        loader.num_workers = workers
        loader.dataset.update(
            data_root=settings.folder,
            seed=settings.seed,
            split_file=f'{_HERE}/{SPLITS}',
            folders=list(facts.folders),
            metainfo=dict(classes=list(facts.classes)),
        )
        _scale(loader.dataset.pipeline, factor)
    steps = -(-facts.total('train') // settings.batch_size)
    cfg.default_hooks.logger.interval = min(_LOG_STEPS, steps)
    cfg.train_cfg.max_epochs = settings.epochs
    optimizer = cfg.optim_wrapper.optimizer
    optimizer.lr *= settings.batch_size / cfg.auto_scale_lr.base_batch_size
    cfg.auto_scale_lr.base_batch_size = settings.batch_size
    if settings.amp:
        gpu = torch.cuda.is_available()
        cfg.optim_wrapper.type = _AMP_GPU if gpu else _AMP_CPU
    return cfg


def read_config(path: Path, workers: int | None = None) -> Config:
    """Read the config of an adaptation, with all that loaders need.

    Args:
        path (Path): The file; paths in its folder are those beside it.
        workers (int, optional): Processes that load images. Defaults to
            None: as the config says.
    """
    cfg = Config.fromfile(path)
    # The text goes into each checkpoint; formatting it takes seconds where
    # paths are long. `fromfile` has this argument too, but passes it by.
    cfg = Config(cfg.to_dict(), filename=str(path), format_python_code=False)
    if workers is not None:
        for name in _LOADERS:
            cfg[name].num_workers = workers
    finish_config(cfg, Namespace(cfg_options=None))
    return cfg


def write_config(cfg: Config, path: Path) -> None:
    """Write a config as one Python file, whole or not at all."""
    text = '\n'.join(
        f'{key} = {pformat(value, width=79, sort_dicts=False)}'
        for key, value in cfg.to_dict().items()
    )
    # The folder's name may have an apostrophe in it.
    text = re.sub(rf"'({re.escape(_HERE)}[^']*)'", r'r"""\1"""', text)
    with replace_when_done(path) as temp:
        temp.write_text(f'"""{_DOCSTRING}"""\n\n{text}\n', 'utf-8')


def _fill_model(
    model: dict, settings: Settings, black_box: BlackBox, num_classes: int
) -> None:
    model.backbone.black_box = settings.black_box
    model.neck.update(
        num_classes=num_classes,
        embed_dims=black_box.embed_dims,
        text_dims=settings.text_dims,
    )
    model.neck.knowledge = settings.knowledge  # update would merge it
    model.head.update(
        num_classes=num_classes,
        in_channels=black_box.out_dims,
        local_channels=2 * black_box.embed_dims,  # of the preset extended
    )


def _scale(pipeline: list, factor: float) -> None:
    """Bring the sizes in a pipeline to another size of images."""
    for step in pipeline:
        for key in _PIXELS:
            if key in step:
                step[key] = round(step[key] * factor)
