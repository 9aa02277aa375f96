"""Resize and normalise the frames of a video."""

import math
from collections.abc import Sequence

import mmcv
import numpy as np
import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor

from lore_mm.registry import MODELS
from lore_mm.utils import check_rgb

_ROUNDINGS = {'floor': math.floor, 'nearest': round, 'ceil': math.ceil}
_INTERPOLATIONS = ('bilinear', 'bicubic', 'area', 'nearest', 'lanczos')


def frame_size(
    size: tuple[int, int],
    short_side: int | None,
    multiple: int,
    rounding: str = 'floor',
    round_short: bool = False,
) -> tuple[int, int]:
    """Size of a resized frame; see :class:`FramePreprocessor`.

    Args:
        size (tuple[int, int]): Height and width of the frame.
        short_side (int, optional): The short side; None keeps it.
        multiple (int): What sides are rounded to multiples of.
        rounding (str): ``floor``, ``nearest`` or ``ceil``.
        round_short (bool): Round the short side too.

    Returns:
        tuple[int, int]: New height and width.
    """
    short = min(size) if short_side is None else short_side

    def fit(side: float) -> int:
        number = _ROUNDINGS[rounding](side / multiple)
        return max(number, 1) * multiple

    if round_short:
        short = fit(short)
    height, width = size
    if height > width:
        return fit(short * height / width), short
    return short, fit(short * width / height)


@MODELS.register_module()
class FramePreprocessor(ImgDataPreprocessor):
    """Bring the frames of a video to the size and values of a ViT.

    The short side becomes ``short_side``, the long side follows and is
    rounded to a multiple of ``multiple``. Sides must end up as multiples of
    the ViT's patch. Known conventions:

    ============  ========  ========  ========  ===========  =============
    convention    short     multiple  rounding  round_short  interpolation
    ============  ========  ========  ========  ===========  =============
    DINO          480       64        floor     False        bilinear
    CRW           None      patch     nearest   True         bilinear
    DINOv3        960       patch     ceil      True         bicubic
    ============  ========  ========  ========  ===========  =============

    (CRW does not resize: its network takes any size.) For a patch that does
    not divide 480 and 64, such as 14, take the patch as ``multiple`` and set
    ``round_short``.

    Args:
        mean (Sequence[float]): RGB, in units of 0..255.
        std (Sequence[float]): Likewise. DINO's script has 0.228 x 255 for
            red where ImageNet has 0.229 x 255.
        short_side (int, optional): In pixels; None keeps the frame's own.
            Defaults to 480.
        multiple (int): Defaults to 64.
        rounding (str): ``floor``, ``nearest`` or ``ceil``. Defaults to
            ``floor``.
        round_short (bool): Round the short side too. Defaults to False.
        interpolation (str): Of OpenCV. Defaults to ``bilinear``.
        **kwargs: Other arguments of mmengine's ``ImgDataPreprocessor``.

    Raises:
        ValueError: An argument is out of range or unknown.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        short_side: int | None = 480,
        multiple: int = 64,
        rounding: str = 'floor',
        round_short: bool = False,
        interpolation: str = 'bilinear',
        **kwargs,
    ) -> None:
        super().__init__(mean=mean, std=std, **kwargs)
        for name, value in (
            ('short_side', short_side),
            ('multiple', multiple),
        ):
            if value is not None and value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}.')
        if rounding not in _ROUNDINGS:
            raise ValueError(
                f'rounding must be one of {tuple(_ROUNDINGS)}, got '
                f'{rounding!r}.'
            )
        if interpolation not in _INTERPOLATIONS:
            raise ValueError(
                f'interpolation must be one of {_INTERPOLATIONS}, got '
                f'{interpolation!r}.'
            )
        self.sizing = (short_side, multiple, rounding, round_short)
        self.interpolation = interpolation

    def forward(self, data: dict, training: bool = False) -> dict:
        """Hand the videos on; frames come to :meth:`frame` one by one."""
        return self.cast_data(data)

    def frame(self, img: np.ndarray, name: str = 'a frame') -> Tensor:
        """Resize and normalise a frame.

        Args:
            img (np.ndarray): RGB (H, W, 3), uint8.
            name (str): For messages. Defaults to ``'a frame'``.

        Returns:
            Tensor: (1, 3, h, w), float32, on the model's device.

        Raises:
            ValueError: The frame has another shape or type.
        """
        check_rgb(img, name)
        height, width = frame_size(img.shape[:2], *self.sizing)
        img = mmcv.imresize(
            np.ascontiguousarray(img),
            (width, height),
            interpolation=self.interpolation,
            backend='cv2',
        )
        tensor = torch.from_numpy(img).to(self.device).permute(2, 0, 1)
        return ((tensor.float() - self.mean) / self.std)[None]

    def extra_repr(self) -> str:
        """The choices a score depends on."""
        return f'sizing={self.sizing}, interpolation={self.interpolation!r}'
