"""Give the neck its class embeddings before training."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from lore_mm.engine.bare_model import bare_model
from lore_mm.registry import HOOKS


@HOOKS.register_module()
class ClassEmbeddingHook(Hook):
    """Embed the training set's class names for the LORE neck.

    Does nothing for a model whose neck has no ``set_classes``. The embeddings
    are cached on disk, so only the first run builds the text encoder.
    """

    priority = 'HIGH'

    def before_train(self, runner: Runner) -> None:
        """Call ``neck.set_classes`` with the names of the training set.

        Raises:
            ValueError: The training set names no classes.
        """
        neck = getattr(bare_model(runner), 'neck', None)
        if not hasattr(neck, 'set_classes'):
            return
        classes = runner.train_dataloader.dataset.metainfo.get('classes')
        if not classes:
            raise ValueError(
                'the training set has no class names to embed; give them by '
                'metainfo=dict(classes=[...]) in train_dataloader.dataset.'
            )
        neck.set_classes(classes)
