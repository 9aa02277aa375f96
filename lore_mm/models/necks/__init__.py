"""Necks."""

from .knowledge_locality_neck import KnowledgeLocalityNeck
from .knowledge_neck import KnowledgeNeck

__all__ = ['KnowledgeLocalityNeck', 'KnowledgeNeck']
