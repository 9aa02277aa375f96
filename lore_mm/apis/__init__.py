"""What a user calls without a config: inferencers."""

from .correspondence import Correspondence, CorrespondenceInferencer

__all__ = ['Correspondence', 'CorrespondenceInferencer']
