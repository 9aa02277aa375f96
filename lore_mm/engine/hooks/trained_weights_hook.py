"""Checkpoints of the trained part, loaded strictly."""

from collections.abc import Sequence

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from lore_mm.datasets.class_names import class_difference
from lore_mm.engine.bare_model import bare_model
from lore_mm.engine.files import CheckpointError
from lore_mm.engine.plain import (
    pack_message_hub,
    to_plain,
    unpack_message_hub,
)
from lore_mm.engine.trained_weights import (
    black_box_facts,
    check_black_boxes,
    check_classes,
    children_of,
    drop_frozen,
    fit_state_dict,
    frozen_keys,
    pop_state,
)
from lore_mm.engine.white_box_settings import (
    check_white_boxes,
    white_box_settings,
)
from lore_mm.registry import HOOKS

_BACKBONE = 'backbone'

# What mmengine's EMAHook saves: a second model, and its number of steps.
_AVERAGE = 'ema_state_dict'
_PREFIX = 'module.'


@HOOKS.register_module()
class TrainedWeightsHook(Hook):
    """Save what was trained, with its config; load only what fits.

    A saved checkpoint holds every tensor of the model (batch-norm statistics,
    class embeddings and the head among them) but those of a frozen Black Box,
    whose name and fingerprint it holds instead; plain types throughout, so
    that it is read with ``weights_only=True``. The same holds for the second
    model of ``EMAHook``, whose average is what is tested and started from.

    A loaded checkpoint is refused with a
    :class:`~lore_mm.engine.CheckpointError` if it was trained beside another
    Black Box, or if any trained tensor is missing, unexpected or of another
    shape. Children of the model that it holds and the model lacks, such as
    the head when a retriever takes over a classifier's backbone, are left out
    with a line in the log. To test or resume, the classes must agree too, and
    the settings of the White Box that no tensor shows, such as the neighbours
    in the LIN.
    When ``load_from`` starts a training on other classes, the backbone is
    taken over and the rest starts afresh, with a line in the log.

    Args:
        load_modules (Sequence[str], optional): Children of the model that a
            training's ``load_from`` takes over, for example ``['backbone']``.
            Defaults to None: all, or the backbone where the classes differ.
    """

    # What is loaded is completed before other hooks use it, EMAHook among
    # them; for what is saved see `_SavedContent`.
    priority = 'VERY_HIGH'

    def __init__(self, load_modules: Sequence[str] | None = None) -> None:
        self.load_modules = load_modules

    def before_run(self, runner: Runner) -> None:
        """Let what is saved pass last of all hooks."""
        if not any(isinstance(hook, _SavedContent) for hook in runner.hooks):
            runner.register_hook(_SavedContent())

    # -- loading ---------------------------------------------------------
    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check ``checkpoint`` and complete it with the frozen tensors."""
        model = bare_model(runner)
        state = pop_state(checkpoint)
        meta = checkpoint.setdefault('meta', {})
        resuming = getattr(runner, '_resume', False)
        if resuming:
            _check_training_state(checkpoint)
        modules = self._modules(runner, model, state, meta, resuming)
        runner.loaded_modules = tuple(modules)
        check_black_boxes(meta.get('black_box', {}), model, state)
        checkpoint['state_dict'] = fit_state_dict(state, model, modules)
        # After the weights: another preset is told by their names.
        if not _starts_training(runner):  # which may take other settings
            check_white_boxes(meta.get('white_box', {}), model)
        if _AVERAGE in checkpoint:
            if _starts_training(runner):
                # The state dict is the average: a new one starts from it.
                del checkpoint[_AVERAGE]
            else:
                checkpoint[_AVERAGE] = _fit_average(
                    checkpoint[_AVERAGE], model, modules
                )
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = unpack_message_hub(
                checkpoint['message_hub']
            )

    def _modules(
        self,
        runner: Runner,
        model: nn.Module,
        state: dict[str, Tensor],
        meta: dict,
        resuming: bool,
    ) -> list[str]:
        """Children of the model that the checkpoint fills."""
        saved = children_of(state)
        own = children_of(model.state_dict())
        left = [name for name in saved if name not in own]
        if left:
            runner.logger.info(
                f'left out of the checkpoint, as the model has none: '
                f'{", ".join(left)}.'
            )
        training = _trains(runner)
        dataset = _dataset(runner, training)
        theirs, ours = meta.get('classes'), _classes(dataset)
        if training and not resuming:
            if self.load_modules is not None:
                unknown = set(self.load_modules) - set(own)
                if unknown:
                    raise CheckpointError(
                        f'load_modules names {", ".join(sorted(unknown))}; '
                        f'the model has {", ".join(own)}.'
                    )
                return list(self.load_modules)
            if theirs and ours and theirs != ours and _BACKBONE in own:
                how = class_difference(
                    theirs,
                    ours,
                    ('the checkpoint', 'the data'),
                    ('there', 'here'),
                )
                runner.logger.info(
                    f'{how}: the {_BACKBONE} is taken over, the rest of the '
                    'model starts afresh.'
                )
                return [_BACKBONE]
        elif any(name in saved and name != _BACKBONE for name in own):
            check_classes(theirs, ours)
        return own


class _SavedContent(Hook):
    """Leaves the frozen tensors out of a checkpoint; makes the rest plain."""

    # After hooks that put tensors of their own into the checkpoint.
    priority = 'LOWEST'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Drop the frozen tensors; make the rest plain."""
        if not is_main_process():
            return
        model = bare_model(runner)
        meta = checkpoint['meta']
        meta['black_box'] = black_box_facts(model)
        meta['white_box'] = white_box_settings(model)
        meta['classes'] = _classes(runner.train_dataloader.dataset)
        checkpoint['state_dict'] = drop_frozen(checkpoint['state_dict'], model)
        if _AVERAGE in checkpoint:
            frozen = {_PREFIX + key for key in frozen_keys(model)}
            checkpoint[_AVERAGE] = {
                key: value
                for key, value in checkpoint[_AVERAGE].items()
                if key not in frozen
            }
        hub, left_out = pack_message_hub(checkpoint['message_hub'])
        checkpoint['message_hub'] = hub
        if left_out:
            runner.logger.warning(
                f'not saved, as they are no plain values: the run-time '
                f'entries {", ".join(left_out)} of the message hub.'
            )
        for name in set(checkpoint) - {'state_dict', 'message_hub'}:
            try:
                checkpoint[name] = to_plain(checkpoint[name])
            except TypeError as error:
                raise CheckpointError(
                    f'{name!r} cannot be saved: {error}; a checkpoint holds '
                    f'tensors and plain types only.'
                ) from error


def _fit_average(
    saved: dict[str, Tensor], model: nn.Module, modules: list[str]
) -> dict[str, Tensor]:
    """The averaged model of ``EMAHook``, with the frozen tensors of ours."""
    state = {
        key.removeprefix(_PREFIX): value
        for key, value in saved.items()
        if key.startswith(_PREFIX)
    }
    steps = {k: v for k, v in saved.items() if not k.startswith(_PREFIX)}
    fitted = fit_state_dict(state, model, modules)
    return {**steps, **{_PREFIX + key: v for key, v in fitted.items()}}


def _trains(runner: Runner) -> bool:
    return isinstance(runner.optim_wrapper, OptimWrapper | OptimWrapperDict)


def _starts_training(runner: Runner) -> bool:
    return _trains(runner) and not getattr(runner, '_resume', False)


def _dataset(runner: Runner, training: bool) -> object:
    """The data set that the loaded model is trained or tested on."""
    if training:
        return runner.train_dataloader.dataset
    # A loop that is not run is still a config, or None.
    for loop in (runner._test_loop, runner._val_loop):
        if hasattr(loop, 'dataloader'):
            return loop.dataloader.dataset
    return None


def _classes(dataset: object) -> list[str] | None:
    """Class names that the data set gives, if any."""
    metainfo = getattr(dataset, 'metainfo', None) or {}
    classes = metainfo.get('classes')
    return None if classes is None else [str(name) for name in classes]


def _check_training_state(checkpoint: dict) -> None:
    """A best checkpoint holds no optimizer: training cannot go on from it."""
    lacking = [
        name for name in ('optimizer', 'message_hub') if name not in checkpoint
    ]
    if lacking:
        raise CheckpointError(
            f'the checkpoint holds no {" and no ".join(lacking)} to resume '
            f'from (a best_*.pth is for testing); resume from the last '
            f'checkpoint, or start anew with load_from.'
        )
