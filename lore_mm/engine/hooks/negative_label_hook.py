"""The Black Box's own prediction for each training image."""

import logging
import math
from collections.abc import Sequence

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from lore_mm.engine.bare_model import bare_model
from lore_mm.engine.feature_extraction import (
    extract_train_features,
    sample_id,
)
from lore_mm.engine.image_labels import (
    LabelTable,
    most_similar,
    nearest_class_mean,
)
from lore_mm.models.knowledge import is_aligned_with_images
from lore_mm.registry import HOOKS

METHODS = ('auto', 'zero_shot', 'class_mean')
_NAMES = {'zero_shot': 'zero-shot', 'class_mean': 'nearest class mean'}


@HOOKS.register_module()
class NegativeLabelHook(Hook):
    """Give each training sample the ``negative_label`` of the Black Box.

    LORE, Eq. (10): ``p``. The bare Black Box predicts every training image
    once before training; each batch's data samples then carry the prediction,
    a tensor of shape (), to the head. Works only for a head with
    ``negative_source='black_box'`` and a constraint, and does nothing
    otherwise.

    Images are recognised by ``img_path`` and ``sample_idx`` in the meta
    information of the data samples, so that workers and wrappers of data sets
    need not know of it.

    Args:
        method (str): ``'zero_shot'``: the class embedding most similar to the
            projected CLS token, for CLIP with its own text tower.
            ``'class_mean'``: the class whose mean CLS token of the training
            set is most similar. ``'auto'``: zero-shot where the Black Box has
            a projection and the knowledge encoder says that it shares the
            space, else class mean. Defaults to ``'auto'``.
        leave_one_out (bool): Leave an image out of its own class mean. With
            few images a class, a mean that holds the image predicts it too
            well. Defaults to False.
        pipeline (list[dict], optional): Pipeline without randomness. Defaults
            to None: that of the validation set.
        batch_size (int, optional): Defaults to that of training.

    Raises:
        ValueError: The method is unknown or does not fit the model, or images
            cannot be told apart.
    """

    priority = 'BELOW_NORMAL'  # after the hook that embeds the class names

    def __init__(
        self,
        method: str = 'auto',
        leave_one_out: bool = False,
        pipeline: Sequence[dict] | None = None,
        batch_size: int | None = None,
    ) -> None:
        if method not in METHODS:
            raise ValueError(
                f'method must be one of {METHODS}, got {method!r}.'
            )
        self.method = method
        self.leave_one_out = leave_one_out
        self.pipeline = pipeline
        self.batch_size = batch_size
        self._table: LabelTable | None = None

    def before_train(self, runner: Runner) -> None:
        """Predict all training images; the same again after a resume."""
        self._table = None
        model = bare_model(runner)
        head = getattr(model, 'head', None)
        if not _wants_negatives(head):
            return
        black_box = getattr(model.backbone, 'black_box', None)
        if black_box is None:
            raise ValueError(
                "negative_source='black_box' needs a backbone with a "
                f'black_box, got {type(model.backbone).__name__}.'
            )
        method = self._choose(model, black_box)
        embeddings = _class_embeddings(model)
        if method == 'zero_shot' and not embeddings.any():
            raise ValueError(
                'zero-shot prediction needs class embeddings, the neck has '
                "none yet; let the neck's own hook run first."
            )

        def cls_token(img: Tensor) -> Tensor:
            return black_box.project(black_box(img)[:, 0])  # (B, out_dims)

        data = extract_train_features(
            runner, cls_token, self.pipeline, self.batch_size
        )
        if method == 'zero_shot':
            predicted = most_similar(data.features, embeddings.cpu())
        else:
            predicted = nearest_class_mean(
                data.features,
                data.labels,
                head.num_classes,
                self.leave_one_out,
            )
        self._table = LabelTable(data, predicted)
        _report(predicted, data.labels, method, head.num_classes)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Write ``negative_label`` into the batch's data samples."""
        if self._table is None:
            return
        for sample in data_batch['data_samples']:
            label = self._table.find(sample_id(sample))
            # A tensor: torch.compile would compile anew for each int.
            sample.set_field(torch.tensor(label), 'negative_label')

    def _choose(self, model: nn.Module, black_box: nn.Module) -> str:
        """``'zero_shot'`` or ``'class_mean'``."""
        if self.method == 'class_mean':
            return self.method
        embeddings = _class_embeddings(model)
        dims = None if embeddings is None else embeddings.shape[-1]
        fits = black_box.has_projection and dims == black_box.out_dims
        if self.method == 'zero_shot':
            if not fits:
                raise ValueError(
                    "method='zero_shot' needs a Black Box with a projection "
                    'into the space of the class embeddings, got '
                    f'{black_box.describe()} with has_projection='
                    f'{black_box.has_projection}, out_dims='
                    f'{black_box.out_dims} and embeddings of size {dims}; '
                    "use 'class_mean'."
                )
            return self.method
        # Equal sizes do not make one space: the encoder has to say so.
        knowledge = getattr(model.neck, 'knowledge', None) if fits else None
        aligned = bool(knowledge) and is_aligned_with_images(knowledge)
        return 'zero_shot' if fits and aligned else 'class_mean'


def _wants_negatives(head: nn.Module | None) -> bool:
    """Whether the head reads ``negative_label`` at all."""
    if getattr(head, 'negative_source', None) != 'black_box':
        return False
    return getattr(head, 'constraint', True) is not None


def _class_embeddings(model: nn.Module) -> Tensor | None:
    """The neck's class embeddings (K, d_q), if it has any."""
    return getattr(getattr(model, 'neck', None), 'class_embeddings', None)


def _report(
    predicted: Tensor, labels: Tensor, method: str, num_classes: int
) -> None:
    """Log the agreement; warn when zero-shot is no better than chance."""
    share = float((predicted == labels).double().mean())
    print_log(
        f'Black Box predicts {100 * share:.2f} % of the training images '
        f'correctly ({_NAMES[method]}).',
        logger='current',
    )
    chance = 1 / num_classes
    spread = math.sqrt(chance * (1 - chance) / len(labels))
    if method == 'zero_shot' and share < chance + 3 * spread:
        print_log(
            'Zero-shot prediction is no better than chance: is the knowledge '
            "encoder the text tower of the Black Box's own CLIP, with its "
            "weights loaded? Otherwise set method='class_mean'.",
            logger='current',
            level=logging.WARNING,
        )
