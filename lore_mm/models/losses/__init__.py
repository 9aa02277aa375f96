"""Losses."""

from .prototype_constraint import PrototypeConstraintLoss

__all__ = ['PrototypeConstraintLoss']
