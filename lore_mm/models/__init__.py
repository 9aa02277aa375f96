"""Models of lore_mm."""

from . import knowledge
from .backbones import LoRAViT, LOREFeatures, LOREViT, PromptedViT
from .black_boxes import (
    BlackBox,
    MMPretrainBlackBox,
    OpenCLIPBlackBox,
    TimmBlackBox,
)
from .heads import CLIPAdapterHead, CoOpHead, LOREHead, ZeroShotHead
from .losses import PrototypeConstraintLoss
from .matchers import KeypointMatcher
from .necks import KnowledgeLocalityNeck, KnowledgeNeck
from .retrievers import ImageRetriever, MixedSizePreprocessor, RetrievalHead
from .segmentors import (
    FramePreprocessor,
    LabelPropagator,
    LORESegmentor,
    MaskPrototypeLoss,
)
from .white_box import (
    KnowledgeLocalityAttention,
    LocalityInteractionNetwork,
    PromptGenerator,
    WhiteBox,
    WhiteBoxWithoutLIN,
)

__all__ = [
    'BlackBox',
    'CLIPAdapterHead',
    'CoOpHead',
    'FramePreprocessor',
    'ImageRetriever',
    'KeypointMatcher',
    'KnowledgeLocalityAttention',
    'KnowledgeLocalityNeck',
    'KnowledgeNeck',
    'LOREFeatures',
    'LOREHead',
    'LORESegmentor',
    'LOREViT',
    'LabelPropagator',
    'LoRAViT',
    'LocalityInteractionNetwork',
    'MMPretrainBlackBox',
    'MaskPrototypeLoss',
    'MixedSizePreprocessor',
    'OpenCLIPBlackBox',
    'PromptGenerator',
    'PromptedViT',
    'PrototypeConstraintLoss',
    'RetrievalHead',
    'TimmBlackBox',
    'WhiteBox',
    'WhiteBoxWithoutLIN',
    'ZeroShotHead',
    'knowledge',
]
