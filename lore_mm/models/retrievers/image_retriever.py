"""Describe images by a frozen backbone, to find like ones."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.nn import functional

from lore_mm.registry import MODELS

from .fast_linear import OneDNNLinear, has_one_dnn_linear

_FITS = ('crop', 'resize', 'pad')


@MODELS.register_module()
class ImageRetriever(BaseModel):
    """Descriptors of images of any size, at one or several scales.

    Nothing is trained here: train a classifier, with LORE or a
    metric-learning head, and load its checkpoint. Images of a batch may
    differ in size: those that share a size are run through the backbone
    together, which changes nothing but the speed.

    Args:
        backbone (dict | nn.Module): For example a :class:`LOREViT`. Its
            ``out_type`` is set to what the head's pooling reads, where it
            has that choice.
        head (dict | nn.Module, optional): Defaults to
            ``dict(type='lore_mm.RetrievalHead')``: the CLS token.
        scales (Sequence[float]): Sizes at which an image is described,
            relative to its own; the pooled vectors are averaged. Defaults to
            (1.0,).
        normalize_scales (bool): L2-normalise the vector of each scale before
            the average (``revisitop``); else only the average (``dino``).
            Defaults to False.
        fit (str): How a side becomes a multiple of the patch: ``'crop'``
            leaves out the last rows and columns, as a patch embedding does
            by itself; ``'resize'`` to the nearest multiple; ``'pad'`` with
            zeros. Defaults to ``'crop'``.
        size_divisor (int, optional): What sides must be multiples of.
            Defaults to None: the patch size of the backbone's Black Box,
            or 1.
        fast_linear (bool): Run linear maps by oneDNN on CPU, which agrees to
            rounding; see :class:`OneDNNLinear`. Defaults to True.
        data_preprocessor (dict | nn.Module, optional): For example
            :class:`MixedSizePreprocessor`.
        init_cfg (dict, optional): As in mmengine.

    Raises:
        ValueError: A scale is not positive or ``fit`` is unknown.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        head: dict | nn.Module | None = None,
        scales: Sequence[float] = (1.0,),
        normalize_scales: bool = False,
        fit: str = 'crop',
        size_divisor: int | None = None,
        fast_linear: bool = True,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if not scales or any(scale <= 0 for scale in scales):
            raise ValueError(
                f'scales must be positive numbers, at least one, got {scales}.'
            )
        if fit not in _FITS:
            raise ValueError(f'fit must be one of {_FITS}, got {fit!r}.')
        self.backbone = _build(backbone)
        self.head = _build(head or dict(type='lore_mm.RetrievalHead'))
        if self.head.out_type in getattr(self.backbone, 'OUT_TYPES', ()):
            self.backbone.out_type = self.head.out_type
        self.scales = tuple(float(scale) for scale in scales)
        self.normalize_scales = normalize_scales
        self.fit = fit
        if size_divisor is None:
            black_box = getattr(self.backbone, 'black_box', None)
            size_divisor = getattr(black_box, 'patch_size', 1)
        self.size_divisor = size_divisor
        self.fast_linear = fast_linear

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | list[BaseDataElement]:
        """Describe images.

        Args:
            inputs (Tensor | Sequence[Tensor]): Normalised images, (B, 3, H,
                W) or a list of (3, H, W).
            data_samples (Sequence, optional): One for each image, for mode
                ``'predict'``.
            mode (str): ``'tensor'`` or ``'predict'``.

        Returns:
            Tensor | list: Descriptors (B, D) of unit length, or the data
            samples with ``descriptor``, (D,).
        """
        if mode not in ('tensor', 'predict'):
            raise ValueError(
                f"mode must be 'tensor' or 'predict', got {mode!r}: a "
                f'retriever has nothing to train; train an ImageClassifier '
                f'and load its checkpoint.'
            )
        descriptors = self.describe(inputs)
        if mode == 'tensor':
            return descriptors
        if data_samples is None:
            data_samples = [BaseDataElement() for _ in inputs]
        for sample, descriptor in zip(data_samples, descriptors, strict=True):
            sample.set_field(descriptor, 'descriptor', dtype=Tensor)
        return list(data_samples)

    def describe(self, images: Tensor | Sequence[Tensor]) -> Tensor:
        """Descriptors (B, D) of normalised images (3, H, W) each."""
        total: Tensor | float = 0.0
        for scale in self.scales:
            pooled = self._pool([self._scaled(img, scale) for img in images])
            if self.normalize_scales:
                pooled = functional.normalize(pooled, dim=1)
            total = total + pooled
        return self.head(total / len(self.scales))

    def _pool(self, images: list[Tensor]) -> Tensor:
        """Pooled vectors (B, C); images of one size go together."""
        groups: dict[torch.Size, list[int]] = defaultdict(list)
        for i, img in enumerate(images):
            groups[img.shape].append(i)
        faster = self.fast_linear and has_one_dnn_linear()
        with OneDNNLinear() if faster else nullcontext():
            parts = [
                self.head.pool(
                    self.backbone(torch.stack([images[i] for i in group]))
                )
                for group in groups.values()
            ]
        order = torch.tensor([i for g in groups.values() for i in g])
        return torch.cat(parts)[order.argsort().to(parts[0].device)]

    def _scaled(self, img: Tensor, scale: float) -> Tensor:
        """An image (3, H, W) at a scale, with sides that fit."""
        if scale != 1:
            smallest = 1 / min(img.shape[-2:])  # never less than a pixel
            img = functional.interpolate(
                img[None],
                scale_factor=max(scale, smallest),
                mode='bilinear',
                align_corners=False,
            )[0]
        return fit_size(img, self.size_divisor, self.fit)

    def extra_repr(self) -> str:
        """The choices that descriptors depend on."""
        return (
            f'scales={self.scales}, normalize_scales={self.normalize_scales}, '
            f'fit={self.fit!r}, size_divisor={self.size_divisor}'
        )


def fit_size(img: Tensor, divisor: int, fit: str) -> Tensor:
    """Make the sides of an image multiples of ``divisor``.

    Args:
        img (Tensor): (3, H, W).
        divisor (int): The patch size.
        fit (str): See :class:`ImageRetriever`. A side that is shorter than
            the divisor is never cropped but resized to it.

    Returns:
        Tensor: (3, H', W').
    """
    height, width = img.shape[-2:]
    if fit == 'pad':
        padding = (0, -width % divisor, 0, -height % divisor)
        return functional.pad(img, padding) if any(padding) else img
    count = round if fit == 'resize' else int
    target = [
        max(1, count(side / divisor)) * divisor for side in (height, width)
    ]
    if fit == 'crop' and min(height, width) >= divisor:
        return img[:, : target[0], : target[1]]
    if target == [height, width]:
        return img
    if fit == 'crop':
        img = img[:, : target[0], : target[1]]
    return functional.interpolate(
        img[None], target, mode='bilinear', align_corners=False
    )[0]


def _build(module: dict | nn.Module) -> nn.Module:
    return MODELS.build(module) if isinstance(module, dict) else module
