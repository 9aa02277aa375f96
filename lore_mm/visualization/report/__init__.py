"""One self-contained page about a trained classifier."""

from .figures import draw_confusion, draw_curve, encode_picture
from .page import Mistake, PerClass, Report, render_report

__all__ = [
    'Mistake',
    'PerClass',
    'Report',
    'draw_confusion',
    'draw_curve',
    'encode_picture',
    'render_report',
]
