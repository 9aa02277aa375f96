"""What a user calls without a config: inferencers."""

from .correspondence import Correspondence, CorrespondenceInferencer
from .video_segmentation import VideoSegmentationInferencer

__all__ = [
    'Correspondence',
    'CorrespondenceInferencer',
    'VideoSegmentationInferencer',
]
