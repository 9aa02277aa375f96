"""What a White Box computes that its weights do not tell.

Two White Boxes whose weights have the same names and shapes can read other
blocks or count other neighbours. A checkpoint holds these settings, as the
config of a task need not be that of the training.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lore_mm.models.white_box import WhiteBox

from .files import CheckpointError


def white_box_settings(model: nn.Module) -> dict[str, dict[str, Any]]:
    """:attr:`WhiteBox.settings` of each White Box by its name in ``model``."""
    return {
        name: module.settings
        for name, module in model.named_modules()
        if isinstance(module, WhiteBox)
    }


def check_white_boxes(saved: Mapping[str, Mapping], model: nn.Module) -> None:
    """Compare the White Boxes of a checkpoint with those of ``model``.

    Args:
        saved (Mapping): :func:`white_box_settings` of the model that was
            saved; empty for a checkpoint that does not have them.
        model (nn.Module): The model to load.

    Raises:
        CheckpointError: A setting differs. The message has the options that
            make ``model`` as the checkpoint's was.
    """
    for name, ours in white_box_settings(model).items():
        theirs = saved.get(name, {})
        other = [k for k in ours if k in theirs and theirs[k] != ours[k]]
        if not other:
            continue
        options = ' '.join(f'model.{name}.{k}={theirs[k]}' for k in other)
        raise CheckpointError(
            'the checkpoint was trained with '
            + ', '.join(f'{k}={theirs[k]!r}' for k in other)
            + f' in {name!r}, where this model has '
            + ', '.join(f'{k}={ours[k]!r}' for k in other)
            + f': take the config it was trained with, or --cfg-options '
            f'{options}.'
        )
