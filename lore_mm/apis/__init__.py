"""What a user calls without a config: inferencers."""

from .correspondence import Correspondence, CorrespondenceInferencer
from .retrieval import RetrievalInferencer
from .video_segmentation import VideoSegmentationInferencer

__all__ = [
    'Correspondence',
    'CorrespondenceInferencer',
    'RetrievalInferencer',
    'VideoSegmentationInferencer',
]
