"""Data sets, seeded subsets and image loading."""

from .cub import CUB200
from .image_folder import ImageFolder
from .loading import LoadRGBImage
from .splits import split_images, write_splits
from .subsets import FewShotSubset, HoldOut
from .textile import Textile

__all__ = [
    'CUB200',
    'FewShotSubset',
    'HoldOut',
    'ImageFolder',
    'LoadRGBImage',
    'Textile',
    'split_images',
    'write_splits',
]
