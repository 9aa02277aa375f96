"""What a user calls from Python: models and inferencers."""

from .adaptation import Adaptation, adapt
from .correspondence import Correspondence, CorrespondenceInferencer
from .model import init_model
from .retrieval import RetrievalInferencer
from .video_segmentation import VideoSegmentationInferencer

__all__ = [
    'Adaptation',
    'Correspondence',
    'CorrespondenceInferencer',
    'RetrievalInferencer',
    'VideoSegmentationInferencer',
    'adapt',
    'init_model',
]
