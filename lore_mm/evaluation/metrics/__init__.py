"""Metrics for mmengine's evaluator, thin around the pure functions."""

from .davis_metric import DAVISMetric
from .pck import PCK
from .revisited_map import RevisitedMAP

__all__ = [
    'DAVISMetric',
    'PCK',
    'RevisitedMAP',
]
