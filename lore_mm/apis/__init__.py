"""What a user calls from Python: models and inferencers."""

from .classification import ClassificationInferencer
from .correspondence import Correspondence, CorrespondenceInferencer
from .features import FeatureExtractor
from .model import init_model
from .retrieval import RetrievalInferencer
from .video_segmentation import VideoSegmentationInferencer

__all__ = [
    'ClassificationInferencer',
    'Correspondence',
    'CorrespondenceInferencer',
    'FeatureExtractor',
    'RetrievalInferencer',
    'VideoSegmentationInferencer',
    'init_model',
]
