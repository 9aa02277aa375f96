"""Pictures."""

from .match_lines import draw_matches

__all__ = ['draw_matches']
