"""Pictures."""

from .contact_sheet import Tile, draw_contact_sheet, save_contact_sheet
from .mask_overlay import OverlayWriter, overlay_mask
from .match_lines import draw_matches

__all__ = [
    'OverlayWriter',
    'Tile',
    'draw_contact_sheet',
    'draw_matches',
    'overlay_mask',
    'save_contact_sheet',
]
