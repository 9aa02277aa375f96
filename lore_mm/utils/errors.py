"""What the tools tell in one line."""


class SetupError(RuntimeError):
    """Weights, files or settings of the user do not fit what is asked for."""
