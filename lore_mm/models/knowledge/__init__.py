"""Knowledge: class names turned into embeddings before training."""

from .base import KnowledgeEncoder
from .build import build_class_embeddings, is_aligned_with_images
from .embedding_file import EmbeddingFile
from .open_clip_text import OpenCLIPTextEncoder
from .random_text import RandomTextEncoder
from .sentence import SentenceEncoder
from .templates import DEFAULT_TEMPLATE, TEMPLATES

__all__ = [
    'DEFAULT_TEMPLATE',
    'TEMPLATES',
    'EmbeddingFile',
    'KnowledgeEncoder',
    'OpenCLIPTextEncoder',
    'RandomTextEncoder',
    'SentenceEncoder',
    'build_class_embeddings',
    'is_aligned_with_images',
]
