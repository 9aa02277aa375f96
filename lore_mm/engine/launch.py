"""What tools/train.py and tools/test.py share."""

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.registry import MODELS, RUNNERS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.models import BaseClassifier
from torch import Tensor

from lore_mm.utils import mixed_precision_pays
from lore_mm.utils.outputs import check_folder

from .config_file import read_config_file
from .config_keys import ConfigError
from .config_values import check_config_values
from .files import latest_checkpoint, replace_when_done
from .options import OptionAction, merge_options
from .plain import to_plain

_BFLOAT16 = 'lore_mm.BFloat16OptimWrapper'  # of --amp without a GPU

_DRAWN = 448  # pixels, side of the images of --show-dir

_LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share."""
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints '
        '(default: work_dirs/<name of the config>)',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision; bfloat16 where there is no GPU',
    )
    parser.add_argument(
        '--auto-amp',
        action='store_true',
        help='--amp where this machine is quicker with it',
    )
    parser.add_argument(
        '--no-pin-memory',
        action='store_true',
        help='load into memory that can be paged out; the default on a CPU',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionAction,
        metavar='KEY=VALUE',
        help='override keys of the config: a.b=1 c="[1,2]"',
    )
    parser.add_argument(
        '--launcher',
        choices=_LAUNCHERS,
        default='none',
        help='how the processes were started',
    )
    # Given by torch.distributed.launch; torchrun sets LOCAL_RANK instead.
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help=argparse.SUPPRESS,
    )


def load_config(args: argparse.Namespace) -> Config:
    """Read ``args.config`` and merge the shared options into it.

    Raises:
        FileNotFoundError: No such config; the message names near matches.
        ConfigError: It cannot be read.
    """
    _set_local_rank(args)
    cfg = read_config_file(args.config)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(cfg.filename).stem))
    return cfg


def _set_local_rank(args: argparse.Namespace) -> None:
    """The process's number on its machine, by which it gets its GPU."""
    of_mpi = os.environ.get('OMPI_COMM_WORLD_LOCAL_RANK')
    if args.launcher == 'mpi' and of_mpi is not None:
        # mmengine takes the device from MPI, but wraps the model by the other.
        os.environ['LOCAL_RANK'] = of_mpi
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))


def finish_config(cfg: Config, args: argparse.Namespace) -> None:
    """Fill in what data loaders need; ``--cfg-options`` come last."""
    for name in ('train', 'val', 'test'):
        loader = cfg.get(f'{name}_dataloader')
        if loader is not None:
            _complete_loader(loader, cfg, training=name == 'train')
            if getattr(args, 'no_pin_memory', False):
                loader.pin_memory = False
            if getattr(args, 'no_persistent_workers', False):
                loader.persistent_workers = False
    if args.cfg_options:
        merge_options(cfg, args.cfg_options)


def _complete_loader(loader: ConfigDict, cfg: Config, training: bool) -> None:
    """Defaults of a data loader's config, as mmpretrain's tools set them."""
    loader.setdefault('pin_memory', torch.cuda.is_available())
    # Workers that live on carry random state over epochs: a resumed training
    # would not repeat it. EpochSeedHook seeds those that start anew.
    workers = loader.get('num_workers', 0)
    loader.setdefault('persistent_workers', bool(workers) and not training)
    if cfg.get('default_scope') == 'mmpretrain':
        loader.setdefault('collate_fn', dict(type='default_collate'))


def apply_train_args(cfg: Config, args: argparse.Namespace) -> None:
    """Merge the options of tools/train.py into a config."""
    if args.no_validate:
        # The validation set stays: hooks take their pipeline from it.
        cfg.train_cfg.val_begin = sys.maxsize
    if args.seed is not None:
        cfg.setdefault('randomness', {})
        cfg.randomness.seed = args.seed
    amp = _wants_amp(args)
    if amp and torch.cuda.is_available():
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    elif amp:
        cfg.optim_wrapper.type = _BFLOAT16
    if args.auto_scale_lr:
        if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
            raise ConfigError(
                '--auto-scale-lr needs the batch size that the learning rate '
                'was chosen for: auto_scale_lr=dict(base_batch_size=...).'
            )
        cfg.auto_scale_lr.enable = True
    finish_config(cfg, args)
    # After the options, which may change the folder.
    if args.resume == 'auto':
        _resume_newest(cfg)
    elif args.resume is not None:
        cfg.resume, cfg.load_from = True, args.resume


def _wants_amp(args: argparse.Namespace) -> bool:
    return args.amp or args.auto_amp and mixed_precision_pays()


def _resume_newest(cfg: Config) -> None:
    """Resume the newest checkpoint; without one ``load_from`` still counts."""
    newest = latest_checkpoint(cfg.work_dir)
    if newest is not None:
        cfg.load_from = str(newest)
    cfg.resume = newest is not None or cfg.get('load_from') is None


def apply_test_args(cfg: Config, args: argparse.Namespace) -> None:
    """Merge the options of tools/test.py into a config."""
    if cfg.get('test_cfg') is None:
        raise ConfigError(f'{args.config} has no test_cfg: nothing to test.')
    if _wants_amp(args):
        cfg.test_cfg.fp16 = True
    if getattr(args, 'show_dir', None) is not None:
        _draw_classes(cfg, args.show_dir, args.interval or 1)
    finish_config(cfg, args)
    # After the options, whose load_from is where the training started.
    nothing = args.checkpoint == 'none'
    cfg.load_from = None if nothing else args.checkpoint
    cfg.resume = False


def _draw_classes(cfg: Config, folder: str, interval: int) -> None:
    """Write images with their classes; mmpretrain's hook does it."""
    hook = (cfg.get('default_hooks') or {}).get('visualization') or {}
    draws = str(hook.get('type')).rpartition('.')[2] == 'VisualizationHook'
    if not draws or not _may_classify(cfg):
        raise ConfigError(
            '--show-dir draws the classes of images: it needs a classifier '
            "with default_hooks.visualization=dict(type='VisualizationHook')."
        )
    check_folder(folder, '--show-dir', 'give another folder')
    hook.update(enable=True, out_dir=folder, interval=interval)
    size = cfg.get('img_size')
    if isinstance(size, int):  # names need room, whatever the ViT needs
        hook.setdefault('rescale_factor', max(1, round(_DRAWN / size)))


def _may_classify(cfg: Config) -> bool:
    """Whether the model is a classifier, or of a type that is not known."""
    kind = (cfg.get('model') or {}).get('type')
    if isinstance(kind, str):
        scope = DefaultScope.overwrite_default_scope(cfg.get('default_scope'))
        with scope, MODELS.switch_scope_and_registry(None) as registry:
            kind = registry.get(kind)
    return kind is None or issubclass(kind, BaseClassifier)


def build_runner(cfg: Config) -> Runner:
    """Build the runner that a config names by ``runner_type``.

    Raises:
        ConfigError: A number in the config cannot be counted with.
    """
    check_config_values(cfg)
    registered = 'runner_type' in cfg
    runner = RUNNERS.build(cfg) if registered else Runner.from_cfg(cfg)
    if _is_slow_amp(cfg):
        runner.logger.warning(
            'This CPU has no instructions for bfloat16, so --amp makes it '
            'several times slower; --auto-amp leaves it out here.'
        )
    return runner


def _is_slow_amp(cfg: Config) -> bool:
    """Whether ``--amp`` of training or testing makes a run slower."""
    training = cfg.get('optim_wrapper') or {}
    testing = cfg.get('test_cfg') or {}
    if not testing.get('fp16') and training.get('type') != _BFLOAT16:
        return False
    return get_device() == 'cpu' and not mixed_precision_pays()


def write_metrics(metrics: Mapping, path: str | Path) -> None:
    """Write metrics as JSON, whole or not at all.

    JSON knows no NaN and no infinity: they become null.

    Args:
        metrics (Mapping): Names to numbers, arrays or tensors.
        path (str | Path): The file; its folder is made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = _without_nan(to_plain(metrics))
    text = json.dumps(plain, indent=2, allow_nan=False)
    with replace_when_done(path) as temp:
        temp.write_text(f'{text}\n')


def check_out_file(out: str | Path) -> None:
    """Check that ``--out`` can be written, before the work for it.

    Raises:
        ValueError: It is a folder, or its folder cannot be written.
    """
    if Path(out).is_dir():
        raise ValueError(f'--out {out} is a folder, give a file.')
    folder = Path(out).resolve().parent
    check_folder(folder, 'the folder of --out', 'give another file')


def _without_nan(value: object) -> object:
    """Plain values with tensors as lists, and None for what is no number."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
