"""Data sets, seeded subsets and image loading."""

from .cub import CUB200
from .cub_parts import CUBParts
from .davis import DAVISDataset, PackVideo
from .grocery_store import GroceryStore
from .image_folder import ImageFolder
from .imagenet import ImageNet1k
from .label_masks import LoadMask
from .loading import LoadRGBImage
from .mask_folder import MaskFolder
from .nabirds import NABirds
from .pair_images import ImageRef
from .pairs import PairDataset
from .pairs_csv import PairsCSV
from .pf_willow import PFWillow
from .revisited import RevisitedRetrieval
from .revisited_ground_truth import read_ground_truth, relevance
from .revisited_images import RetrievalImages, RetrievalThumbnail
from .spair71k import SPair71k
from .split_file import SplitFile
from .splits import split_images, subset_records, write_splits
from .stanford_dogs import StanfordDogs
from .subsets import FewShotSubset, HoldOut
from .textile import Textile
from .video_frames import FrameFiles, VideoFile

__all__ = [
    'CUB200',
    'CUBParts',
    'DAVISDataset',
    'FewShotSubset',
    'FrameFiles',
    'GroceryStore',
    'HoldOut',
    'ImageFolder',
    'ImageNet1k',
    'ImageRef',
    'LoadMask',
    'LoadRGBImage',
    'MaskFolder',
    'NABirds',
    'PFWillow',
    'PackVideo',
    'PairDataset',
    'PairsCSV',
    'RetrievalImages',
    'RetrievalThumbnail',
    'RevisitedRetrieval',
    'SPair71k',
    'SplitFile',
    'StanfordDogs',
    'Textile',
    'VideoFile',
    'read_ground_truth',
    'relevance',
    'split_images',
    'subset_records',
    'write_splits',
]
