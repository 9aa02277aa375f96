"""Refuse to score a White Box that was never trained."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from lore_mm.engine.bare_model import bare_model
from lore_mm.engine.config_keys import ConfigError
from lore_mm.registry import HOOKS


@HOOKS.register_module()
class WhiteBoxCheckHook(Hook):
    """Stop a test whose White Box has its first, random weights.

    In tasks that train nothing, no checkpoint is the bare Black Box.
    """

    priority = 'VERY_HIGH'

    def before_test(self, runner: Runner) -> None:
        """Check that weights were loaded or trained.

        Raises:
            ConfigError: The model has a White Box, and no checkpoint was
                loaded.
        """
        backbone = getattr(bare_model(runner), 'backbone', None)
        if getattr(backbone, 'white_box', None) is None:
            return
        if not runner._has_loaded and runner.iter == 0:
            raise ConfigError(
                'the White Box is not trained: give a checkpoint, or '
                '--cfg-options model.backbone.white_box=None for the bare '
                'Black Box.'
            )
