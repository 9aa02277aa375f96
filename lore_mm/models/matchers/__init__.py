"""Point matchers."""

from .keypoint_matcher import KeypointMatcher

__all__ = ['KeypointMatcher']
