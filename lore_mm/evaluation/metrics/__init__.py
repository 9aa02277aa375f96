"""Metrics for mmengine's evaluator, thin around the pure functions."""

from .revisited_map import RevisitedMAP

__all__ = ['RevisitedMAP']
