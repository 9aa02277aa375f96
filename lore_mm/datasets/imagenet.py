"""ImageNet-1k under the class names that CLIP was tested with."""

from collections import Counter

import open_clip
from mmpretrain.datasets import ImageNet

from lore_mm.registry import DATASETS


def prompt_names() -> tuple[str, ...]:
    """CLIP's 1000 names of open_clip, in the order of the folders.

    Names that two classes share get a number: the text encoder needs names
    that differ.
    """
    names = list(open_clip.IMAGENET_CLASSNAMES)
    seen: Counter = Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[i] = f'{name} {seen[name]}'
    return tuple(names)


@DATASETS.register_module()
class ImageNet1k(ImageNet):
    """mmpretrain's ``ImageNet`` with one short name for each class.

    mmpretrain names a class by all its synonyms. Takes the same arguments.
    """

    METAINFO = {'classes': prompt_names()}
