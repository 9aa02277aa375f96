"""Pictures of single test images: what LORE looked at."""

from pathlib import Path

import cv2
import numpy as np
from mmengine.model import BaseModel

from lore_mm.visualization.attention_row import overlay_map
from lore_mm.visualization.report import Mistake, encode_picture

from ..attention import AttentionVisualizer
from ..attention_maps import AttentionMaps, map_row
from .scoring import Predictions

_MOST = 8
_SIDE = 224  # pixels of a picture
# As in a row of maps: a few patches can hold most of the attention.
_SCALE_TO = 99
_CAPTIONS = {
    'B-B': 'attention of the bare ViT',
    'KLA': 'KLA of its class',
    'LORE': 'attention with LORE',
}


def picture_mistakes(
    model: BaseModel, lore: Predictions, root: str, classes: tuple[str, ...]
) -> list[Mistake]:
    """The worst mistakes with attention maps; without any, closest calls.

    Args:
        model (BaseModel): LORE.
        lore (Predictions): Its predictions.
        root (str): Folder of the images.
        classes (tuple[str, ...]): Names by label.
    """
    visualizer = AttentionVisualizer(model)
    mistakes = []
    for i in lore.worst(_MOST) or lore.closest(_MOST):
        label, guess = int(lore.labels[i]), int(lore.predicted[i])
        maps = visualizer.compute(lore.paths[i], label=label)
        mistakes.append(
            Mistake(
                name=Path(lore.paths[i]).relative_to(root).as_posix(),
                truth=classes[label],
                predicted=classes[guess],
                score=100 * float(lore.scores[i, guess]),
                true_score=100 * float(lore.scores[i, label]),
                pictures=_pictures(maps),
            )
        )
    return mistakes


def _pictures(maps: AttentionMaps) -> list[tuple[str, bytes]]:
    """The image and its maps on one colour scale, each a JPEG."""
    row = map_row(maps)
    image = cv2.resize(
        row.image, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC
    )
    everything = np.concatenate([grid.ravel() for grid in row.maps.values()])
    top = max(float(np.percentile(everything, _SCALE_TO)), 1e-12)
    pictures = {'as the model sees it': image}
    for name, grid in row.maps.items():
        pictures[_CAPTIONS[name]] = overlay_map(image, grid, top)
    return [(name, encode_picture(each)) for name, each in pictures.items()]
