"""Image retrieval by the features of a backbone."""

from .descriptor_store import (
    DescriptorStore,
    check_descriptors,
    descriptor_key,
    open_descriptors,
)
from .image_retriever import ImageRetriever, fit_size
from .preprocessor import MixedSizePreprocessor
from .retrieval_head import RetrievalHead
from .search import search, similarity_blocks
from .whitening import (
    Whitening,
    learn_whitening,
    load_whitening,
    save_whitening,
)

__all__ = [
    'DescriptorStore',
    'ImageRetriever',
    'MixedSizePreprocessor',
    'RetrievalHead',
    'Whitening',
    'check_descriptors',
    'descriptor_key',
    'fit_size',
    'learn_whitening',
    'load_whitening',
    'open_descriptors',
    'save_whitening',
    'search',
    'similarity_blocks',
]
