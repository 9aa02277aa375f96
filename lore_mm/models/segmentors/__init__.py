"""Segmentors for mmseg."""

from .frame_preprocessor import FramePreprocessor, frame_size
from .label_propagator import LabelPropagator
from .mask_sequence import MaskSequence

__all__ = [
    'FramePreprocessor',
    'LabelPropagator',
    'MaskSequence',
    'frame_size',
]
