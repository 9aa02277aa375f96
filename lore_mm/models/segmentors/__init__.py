"""Segmentors for mmseg."""

from .frame_preprocessor import FramePreprocessor, frame_size
from .label_propagator import LabelPropagator
from .lore_segmentor import LORESegmentor
from .mask_prototype_loss import MaskPrototypeLoss
from .mask_sequence import MaskSequence

__all__ = [
    'FramePreprocessor',
    'LORESegmentor',
    'LabelPropagator',
    'MaskPrototypeLoss',
    'MaskSequence',
    'frame_size',
]
