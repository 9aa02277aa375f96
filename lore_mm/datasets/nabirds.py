"""NABirds: 555 visual categories of North American birds."""

from lore_mm.registry import DATASETS

from .cub import CUB200


@DATASETS.register_module()
class NABirds(CUB200):
    """NABirds (Van Horn et al., CVPR 2015): 23929 training, 24633 test images.

    The folder has the published layout, that of CUB-200-2011 with image ids
    that are no numbers. ``classes.txt`` names inner nodes of the hierarchy
    too; the classes are the 555 that have images. Arguments and errors are
    those of :class:`CUB200`.
    """

    FOLDER = 'nabirds'
    NUMBERED_IMAGES = False
