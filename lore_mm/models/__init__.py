"""Models of lore_mm."""

from . import knowledge
from .backbones import LOREFeatures, LOREViT, PromptedViT
from .black_boxes import (
    BlackBox,
    MMPretrainBlackBox,
    OpenCLIPBlackBox,
    TimmBlackBox,
)
from .heads import LOREHead
from .losses import PrototypeConstraintLoss
from .necks import KnowledgeLocalityNeck
from .retrievers import ImageRetriever, MixedSizePreprocessor, RetrievalHead
from .white_box import (
    KnowledgeLocalityAttention,
    LocalityInteractionNetwork,
    PromptGenerator,
    WhiteBox,
)

__all__ = [
    'BlackBox',
    'ImageRetriever',
    'KnowledgeLocalityAttention',
    'KnowledgeLocalityNeck',
    'LOREFeatures',
    'LOREHead',
    'LOREViT',
    'LocalityInteractionNetwork',
    'MMPretrainBlackBox',
    'MixedSizePreprocessor',
    'OpenCLIPBlackBox',
    'PromptGenerator',
    'PromptedViT',
    'PrototypeConstraintLoss',
    'RetrievalHead',
    'TimmBlackBox',
    'WhiteBox',
    'knowledge',
]
