"""The trained White Box and its parts."""

from .knowledge_attention import KnowledgeLocalityAttention
from .locality import LocalityInteractionNetwork
from .no_locality import WhiteBoxWithoutLIN
from .prompt_generator import PromptGenerator
from .white_box import WhiteBox, WhiteBoxOutput

__all__ = [
    'KnowledgeLocalityAttention',
    'LocalityInteractionNetwork',
    'PromptGenerator',
    'WhiteBox',
    'WhiteBoxOutput',
    'WhiteBoxWithoutLIN',
]
