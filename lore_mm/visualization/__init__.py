"""Pictures."""

from .mask_overlay import OverlayWriter, overlay_mask
from .match_lines import draw_matches

__all__ = [
    'OverlayWriter',
    'draw_matches',
    'overlay_mask',
]
