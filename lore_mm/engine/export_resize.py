"""How a test pipeline resizes photos, told to those without this package."""

from collections.abc import Sequence

from mmcv.transforms import BaseTransform, CenterCrop, Resize
from mmpretrain.datasets import PackInputs, ResizeEdge


def resize_facts(
    steps: Sequence[BaseTransform],
    img_size: tuple[int, int],
    min_side: int | None = None,
) -> dict | None:
    """What makes of a photo the image that a network was tested on.

    Told are the two pipelines of this package: all of a photo squashed to the
    size, or its short side resized and the centre cropped. Lengths are in
    pixels, and in proportion where the size is not that of the pipeline.

    Args:
        steps (Sequence[BaseTransform]): The pipeline after its loader.
        img_size (tuple[int, int]): Height and width of the network's images.
        min_side (int, optional): Of the loader,
            :class:`~lore_mm.datasets.LoadRGBImage`.

    Returns:
        dict | None: ``short_side``, None where the photo is squashed;
        ``interpolation`` of Pillow; and ``min_side``. None for other steps.
    """
    steps = [step for step in steps if not isinstance(step, PackInputs)]
    kinds = [type(step) for step in steps]
    if kinds == [Resize]:
        known = steps[0].scale is not None and not steps[0].keep_ratio
        side, short = max(steps[0].scale or (1,)), None
    elif kinds == [ResizeEdge, CenterCrop]:
        side, short = max(steps[1].crop_size), steps[0].scale
        known = steps[0].edge == 'short' and side <= short
    else:
        return None
    # OpenCV gives other pixels.
    if not known or steps[0].backend != 'pillow':
        return None
    short, min_side = (
        None if length is None else length * max(img_size) // side
        for length in (short, min_side)
    )
    return dict(
        short_side=short,
        interpolation=steps[0].interpolation,
        min_side=min_side,
    )
