"""What a user calls from Python: models and inferencers."""

from .attention import AttentionVisualizer
from .attention_maps import AttentionMaps
from .classification import ClassificationInferencer
from .correspondence import Correspondence, CorrespondenceInferencer
from .features import FeatureExtractor
from .model import init_model
from .retrieval import RetrievalInferencer
from .video_segmentation import VideoSegmentationInferencer

__all__ = [
    'AttentionMaps',
    'AttentionVisualizer',
    'ClassificationInferencer',
    'Correspondence',
    'CorrespondenceInferencer',
    'FeatureExtractor',
    'RetrievalInferencer',
    'VideoSegmentationInferencer',
    'init_model',
]
