"""Pictures of single test images: what LORE looked at."""

from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope

from lore_mm.visualization.report import Mistake, encode_picture

from .scoring import Predictions

_MOST = 8


def picture_mistakes(
    cfg: Config,
    model: BaseModel,
    lore: Predictions,
    root: str,
    classes: tuple[str, ...],
) -> list[Mistake]:
    """The worst mistakes with attention maps; without any, closest calls.

    Args:
        cfg (Config): Its test pipeline makes the pixels.
        model (BaseModel): LORE.
        lore (Predictions): Its predictions.
        root (str): Folder of the images.
        classes (tuple[str, ...]): Names by label.
    """
    chosen = lore.worst(_MOST) or lore.closest(_MOST)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    mistakes = []
    for i in chosen:
        label, guess = int(lore.labels[i]), int(lore.predicted[i])
        sample = pipeline(dict(img_path=lore.paths[i], gt_label=label))
        mistakes.append(
            Mistake(
                name=Path(lore.paths[i]).relative_to(root).as_posix(),
                truth=classes[label],
                predicted=classes[guess],
                score=100 * float(lore.scores[i, guess]),
                true_score=100 * float(lore.scores[i, label]),
                pictures=_pictures(model, sample),
            )
        )
    return mistakes


def _pictures(model: BaseModel, sample: dict) -> list[tuple[str, bytes]]:
    pixels = sample['inputs'].permute(1, 2, 0).numpy()
    return [
        ('as the model sees it', encode_picture(np.ascontiguousarray(pixels)))
    ]
