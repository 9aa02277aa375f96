"""What a user calls from Python: models and inferencers."""

from .correspondence import Correspondence, CorrespondenceInferencer
from .model import init_model
from .retrieval import RetrievalInferencer
from .video_segmentation import VideoSegmentationInferencer

__all__ = [
    'Correspondence',
    'CorrespondenceInferencer',
    'RetrievalInferencer',
    'VideoSegmentationInferencer',
    'init_model',
]
