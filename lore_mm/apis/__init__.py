"""What a user calls from Python: models and inferencers."""

from .adaptation import Adaptation, adapt
from .attention import AttentionVisualizer
from .attention_maps import AttentionMaps
from .classification import ClassificationInferencer
from .correspondence import Correspondence, CorrespondenceInferencer
from .explorer import ImageExplorer
from .features import FeatureExtractor
from .image_attention import ImageAttention
from .model import init_model
from .retrieval import RetrievalInferencer
from .video_segmentation import VideoSegmentationInferencer

__all__ = [
    'Adaptation',
    'AttentionMaps',
    'AttentionVisualizer',
    'ClassificationInferencer',
    'Correspondence',
    'CorrespondenceInferencer',
    'FeatureExtractor',
    'ImageAttention',
    'ImageExplorer',
    'RetrievalInferencer',
    'VideoSegmentationInferencer',
    'adapt',
    'init_model',
]
