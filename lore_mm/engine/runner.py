"""The runner of this package's configs."""

import copy
import os
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import is_distributed, master_only
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from torch import nn

from lore_mm.registry import RUNNERS

from .bare_model import bare_model, unwrapped
from .config_keys import ConfigError, check_config_keys
from .files import (
    CheckpointError,
    check_work_dir,
    latest_checkpoint,
    replace_when_done,
    safe_load_checkpoint,
)
from .num_classes import fill_num_classes
from .processes import init_gloo, synchronise_batch_norms
from .saved_config import kept_when_resumed
from .unread_parts import leave_out_unread_parts


def _check_trainable(model: nn.Module) -> None:
    model = unwrapped(model)
    if isinstance(model, ImageClassifier) and model.head is None:
        raise ConfigError(
            'model.head is None; training needs a head, such as '
            "dict(type='lore_mm.LOREHead', ...)."
        )
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ConfigError(
            'nothing in this model is trained: the Black Box is frozen, so '
            'the config needs a White Box, prompts or a head with weights.'
        )


@RUNNERS.register_module()
class LORERunner(Runner):
    """mmengine's Runner with safe files, checked configs and CPU processes.

    Named in a config by ``runner_type='lore_mm.LORERunner'``, which the
    training and test tools of mmpretrain respect as well.

    - Keys of the config are checked before anything is built, and a number
      of classes that it leaves open is taken from the data.
    - Checkpoints are read with ``weights_only=True`` and written whole or not
      at all.
    - Without CUDA, several processes talk over gloo.
    """

    _trains = False  # whether a step of a training was made

    @classmethod
    def from_cfg(cls, cfg: dict) -> 'LORERunner':
        """Build a runner from a config.

        Raises:
            ConfigError: An unknown top-level key, or a number of classes
                that is not that of the data.
            ValueError: The work folder cannot be written.
        """
        check_config_keys(cfg)
        check_work_dir(cfg['work_dir'])
        cfg = copy.deepcopy(cfg)
        leave_out_unread_parts(cfg)
        fill_num_classes(cfg)
        return super().from_cfg(cfg)

    def setup_env(self, env_cfg: dict) -> None:
        """Set up processes; without CUDA over gloo."""
        without_cuda = not torch.cuda.is_available()
        if self.distributed and without_cuda and not is_distributed():
            if self._launcher != 'pytorch':
                raise ConfigError(
                    f'launcher {self._launcher!r} needs CUDA; on CPU use '
                    f'torchrun with launcher pytorch.'
                )
            init_gloo(env_cfg.get('dist_cfg') or {})
        super().setup_env(env_cfg)

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register them; None switches any of them off, mmengine's or ours."""
        from_mmengine = (
            'runtime_info',
            'timer',
            'sampler_seed',
            'logger',
            'param_scheduler',
            'checkpoint',
        )
        kept = {
            name: hook
            for name, hook in (hooks or {}).items()
            if hook is not None or name in from_mmengine
        }
        super().register_default_hooks(kept)

    def wrap_model(
        self, model_wrapper_cfg: dict | None, model: nn.Module
    ) -> nn.Module:
        """Wrap the model for several processes; also on CPU.

        A model without a weight to train, such as the bare Black Box, has
        nothing to exchange and stays as it is. ``sync_bn`` leaves the White
        Box's norms alone.

        Raises:
            ConfigError: ``sync_bn`` is unknown or needs another mmcv.
        """
        if not any(p.requires_grad for p in model.parameters()):
            return model.to(get_device())
        on_cpu = self.distributed and not torch.cuda.is_available()
        if on_cpu and not is_model_wrapper(model):
            defaults = dict(
                type='MMDistributedDataParallel',
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get(
                    'find_unused_parameters', False
                ),
                device_ids=None,
            )
            model_wrapper_cfg = {**defaults, **(model_wrapper_cfg or {})}
        sync_bn = self.cfg.get('sync_bn')
        if sync_bn is None or not self.distributed or is_model_wrapper(model):
            return super().wrap_model(model_wrapper_cfg, model)
        synchronise_batch_norms(model, sync_bn)
        self.cfg.sync_bn = None  # mmengine would convert the others too
        try:
            return super().wrap_model(model_wrapper_cfg, model)
        finally:
            self.cfg.sync_bn = sync_bn

    @master_only
    def dump_config(self) -> None:
        """Write the config where there is none yet.

        One that is there may be that of a finished training. It is replaced
        by :meth:`call_hook` alone, when another training begins.
        """
        name = Path(self.cfg.filename or '').name
        if not Path(self.work_dir, name).is_file():
            super().dump_config()

    def call_hook(self, fn_name: str, **kwargs) -> None:
        """Call a hook; write the config after the first step of a training.

        Not before: what is wrong in a config leaves the file that is there.
        """
        super().call_hook(fn_name, **kwargs)
        if fn_name == 'after_train_iter' and not self._trains:
            self._trains = True
            super().dump_config()

    def train(self) -> nn.Module:
        """Train.

        Raises:
            ConfigError: The model has no head, or nothing to train.
        """
        _check_trainable(self.model)
        return super().train()

    def load_or_resume(self) -> None:
        """Load or resume; find the newest checkpoint of a moved folder too."""
        searches = self._resume and self._load_from is None
        if searches and not self._has_loaded:
            latest = latest_checkpoint(self.work_dir)
            if latest is None:
                self.logger.info(
                    f'nothing to resume in {self.work_dir}: training starts '
                    f'from the beginning.'
                )
                self._resume = False
                return
            self._load_from = str(latest)
        super().load_or_resume()

    def load_checkpoint(
        self,
        filename: str,
        map_location: str = 'cpu',
        strict: bool = True,
        revise_keys: list | None = None,
    ) -> dict:
        """Load a checkpoint; nothing in the file is run.

        Args:
            filename (str): A local file or an http(s) address.
            map_location (str): mmengine's argument; the CPU always. What
                takes the tensors moves them.
            strict (bool): Whether every key must fit, after the hooks have
                completed the checkpoint. Defaults to True.
            revise_keys (list, optional): Not supported; mmengine's argument.

        Returns:
            dict: The checkpoint.

        Raises:
            CheckpointError: It cannot be read or does not fit.
        """
        if revise_keys is not None:
            raise ValueError('revise_keys is not supported by LORERunner.')
        # Loaded twice over on a device otherwise; and some hold float64,
        # which Apple's has not.
        checkpoint = safe_load_checkpoint(filename, 'cpu')
        try:
            self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
            if self._resume:
                self._compare_training(checkpoint)
        except CheckpointError as error:
            raise CheckpointError(f'{filename}: {error}') from error
        state = checkpoint.get('state_dict', checkpoint)
        bare_model(self).load_state_dict(state, strict=strict)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        # Of old mmengine; its resume would run this text as Python.
        checkpoint.get('meta', {}).pop('config', None)
        return checkpoint

    def _compare_training(self, checkpoint: dict) -> None:
        """Tell which changes of the config a resumed training ignores."""
        ignored = kept_when_resumed(checkpoint, self.cfg)
        if ignored:
            self.logger.warning(
                f'{", ".join(ignored)} changed since the checkpoint, which '
                f'keeps its optimizer and its schedule of learning rates; to '
                f'train with the new values start anew with load_from.'
            )

    @master_only
    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        **kwargs,
    ) -> None:
        """Save a checkpoint: whole, or the old file stays.

        Takes mmengine's arguments. Folders that are not on a local disk are
        left to mmengine's file backends.

        Raises:
            CheckpointError: The disk is full or the folder not writable.
        """
        if '://' in str(out_dir):
            super().save_checkpoint(
                out_dir, filename, file_client_args, **kwargs
            )
            return
        target = Path(out_dir, filename)
        try:
            with replace_when_done(target) as temp:
                super().save_checkpoint(
                    out_dir, temp.name, file_client_args, **kwargs
                )
        except OSError as error:
            raise CheckpointError(self._not_saved(target, error)) from error

    def _not_saved(self, target: Path, error: OSError) -> str:
        """The message for a checkpoint that could not be written."""
        try:
            last = latest_checkpoint(self.work_dir)
        except CheckpointError:  # deleted by hand
            last = None
        return (
            f'cannot save {target} ({os.strerror(error.errno)}); the last '
            f'good checkpoint is {last or "none"}. Make room or choose '
            f'another --work-dir, then go on with --resume.'
        )
