"""Give a text head the names of the data set's classes."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from lore_mm.engine.bare_model import bare_model
from lore_mm.registry import HOOKS


@HOOKS.register_module()
class TextHeadHook(Hook):
    """Call ``head.set_classes`` before training, validation and test.

    For :class:`lore_mm.models.ZeroShotHead`, :class:`CLIPAdapterHead` and
    :class:`CoOpHead`, whose classifier is made of the classes' names.
    """

    priority = 'HIGH'

    def __init__(self) -> None:
        self._names: tuple[str, ...] | None = None

    def before_train(self, runner: Runner) -> None:
        """Take the names of the training set."""
        self._set(runner, runner.train_dataloader)

    def before_val(self, runner: Runner) -> None:
        """Take the names of the validation set."""
        self._set(runner, runner.val_dataloader)

    def before_test(self, runner: Runner) -> None:
        """Take the names of the test set."""
        self._set(runner, runner.test_dataloader)

    def _set(self, runner: Runner, loader: object) -> None:
        names = tuple(loader.dataset.metainfo.get('classes') or ())
        if not names:
            raise ValueError(
                'the data set has no class names to compare images with; '
                'give them by metainfo=dict(classes=[...]).'
            )
        if names != self._names:
            bare_model(runner).head.set_classes(names)
            self._names = names
