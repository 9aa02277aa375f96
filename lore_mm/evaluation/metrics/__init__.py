"""Metrics for mmengine's evaluator, thin around the pure functions."""

from .pck import PCK
from .revisited_map import RevisitedMAP

__all__ = ['PCK', 'RevisitedMAP']
