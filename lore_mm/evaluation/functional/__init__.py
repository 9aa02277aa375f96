"""Scores as pure functions of arrays; numpy and torch only."""

from .attention_locality import (
    attention_distance,
    attention_mass,
    patch_cover,
)
from .label_propagation import (
    LabelPropagation,
    iter_masks,
    propagate_labels,
)
from .pck import (
    average_pck,
    category_pck,
    identity_points,
    oracle_points,
    pck,
)
from .revisited_map import mean_scores, revisited_map, revisited_scores
from .video_segmentation import (
    boundary_accuracy,
    davis_statistics,
    region_similarity,
    score_frame,
)

__all__ = [
    'attention_distance',
    'attention_mass',
    'patch_cover',
    'average_pck',
    'category_pck',
    'identity_points',
    'oracle_points',
    'pck',
    'LabelPropagation',
    'boundary_accuracy',
    'davis_statistics',
    'iter_masks',
    'propagate_labels',
    'region_similarity',
    'score_frame',
    'mean_scores',
    'revisited_map',
    'revisited_scores',
]
