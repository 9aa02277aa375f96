"""Necks."""

from .knowledge_locality_neck import KnowledgeLocalityNeck

__all__ = ['KnowledgeLocalityNeck']
