"""Which model an inferencer of one task needs."""

from torch import nn


def check_kind(model: nn.Module, kind: type, folder: str) -> None:
    """Raise unless the model that a config builds is of the kind wanted.

    Args:
        model (nn.Module): What the config builds.
        kind (type): What the task needs.
        folder (str): Folder of ``configs/`` that has it.

    Raises:
        ValueError: It is of another kind.
    """
    if isinstance(model, kind):
        return
    article = 'an' if kind.__name__[0] in 'AEIOU' else 'a'
    raise ValueError(
        f'the model of the config must be {article} {kind.__name__}, got '
        f'{type(model).__name__}; take a config of configs/{folder}.'
    )
