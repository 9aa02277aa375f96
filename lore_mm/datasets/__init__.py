"""Data sets, seeded subsets and image loading."""

from .cub import CUB200
from .grocery_store import GroceryStore
from .image_folder import ImageFolder
from .imagenet import ImageNet1k
from .loading import LoadRGBImage
from .nabirds import NABirds
from .split_file import SplitFile
from .splits import split_images, write_splits
from .stanford_dogs import StanfordDogs
from .subsets import FewShotSubset, HoldOut
from .textile import Textile

__all__ = [
    'CUB200',
    'FewShotSubset',
    'GroceryStore',
    'HoldOut',
    'ImageFolder',
    'ImageNet1k',
    'LoadRGBImage',
    'NABirds',
    'SplitFile',
    'StanfordDogs',
    'Textile',
    'split_images',
    'write_splits',
]
