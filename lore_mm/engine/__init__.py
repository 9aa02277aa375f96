"""Hooks and runner pieces."""

from . import hooks

__all__ = ['hooks']
