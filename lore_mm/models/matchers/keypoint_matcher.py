"""Find key points of one image in another by their patch tokens."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from lore_mm.registry import MODELS

from ..backbones.base import PromptedBackbone
from .feature_cache import FeatureCache
from .first_blocks import check_layer, until_layer
from .matching import READOUTS, ImageFeatures, match_points, pixel_norms

if TYPE_CHECKING:
    from lore_mm.datasets.pair_images import ImageRef, LoadedImage


@MODELS.register_module()
class KeypointMatcher(BaseModel):
    """Point correspondence by the similarity of patch tokens.

    Nothing is trained for it: a checkpoint of any LORE classifier fills
    ``backbone``. LORE, section "semantic correspondence" (Table 4).

    A point's feature is read bilinearly from the tokens of the source and
    searched for in the target by cosine. Features of an image are extracted
    once and kept, so that its other pairs cost next to nothing.

    Args:
        backbone (dict | nn.Module): Gives a tuple with (B, C, h, w), such as
            ``lore_mm.LOREViT`` with ``out_type='featmap'``: prefix tokens and
            prompts are dropped there.
        readout (str): How the target's best point is read:

            - ``bilinear-argmax``: cosines with the tokens are interpolated
              to the size of the network's input; the best pixel (the paper);
            - ``bilinear-cosine``: tokens are interpolated, then compared; the
              best pixel. The maximum may lie between patches;
            - ``patch-centre``: the centre of the best patch.

            Defaults to ``bilinear-argmax``.
        mutual_radius (float, optional): Search each match back in the source;
            it is mutual if it returns to within this many patches of the key
            point, in x and in y. None does not search back. Defaults to 1.
        layer (int, optional): Take the tokens after this many blocks, from 1
            to the number of blocks. Defaults to None, the last.
        norm (bool): Pass the tokens of that layer through the ViT's last
            norm. Defaults to True.
        batch_size (int): Images in a forward pass. Defaults to 16.
        cache_mb (float): Bound of the kept features, in MB, where the model
            is: on a GPU it is GPU memory beside what the model takes.
            Defaults to 2048, enough for all of SPair-71k with a ViT-B/16 at
            224 pixels.
        data_preprocessor (dict, optional): As in mmpretrain.
        init_cfg (dict, optional): As in mmengine.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        readout: str = 'bilinear-argmax',
        mutual_radius: float | None = 1.0,
        layer: int | None = None,
        norm: bool = True,
        batch_size: int = 16,
        cache_mb: float = 2048,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if readout not in READOUTS:
            raise ValueError(
                f'readout must be one of {READOUTS}, got {readout!r}.'
            )
        if mutual_radius is not None and not mutual_radius > 0:
            raise ValueError(
                f'mutual_radius must be positive or None, got {mutual_radius}.'
            )
        if batch_size < 1:
            raise ValueError(f'batch_size must be >= 1, got {batch_size}.')
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = {
                'type': 'mmpretrain.ClsDataPreprocessor',
                **(data_preprocessor or {}),
            }
        super().__init__(data_preprocessor, init_cfg)
        if not isinstance(backbone, nn.Module):
            backbone = MODELS.build(backbone)
        check_layer(layer, backbone)
        self.backbone = backbone
        self.readout = readout
        self.mutual_radius = mutual_radius
        self.layer = layer
        self.norm = norm
        self.batch_size = batch_size
        self.cache = FeatureCache(int(cache_mb * 2**20))

    def train(self, mode: bool = True) -> 'KeypointMatcher':
        """Set the mode, and forget features: weights may have changed."""
        super().train(mode)
        self.cache.clear()
        return self

    # -- features ----------------------------------------------------------
    def extract(self, images: Sequence['ImageRef']) -> list[ImageFeatures]:
        """Features of images, each extracted once.

        Args:
            images (Sequence[ImageRef]): Images; those that are not in the
                cache are read now.

        Returns:
            list[ImageFeatures]: One for each, in order.
        """
        found = {image.key: self.cache.get(image.key) for image in images}
        new = {i.key: i for i in images if found[i.key] is None}
        by_shape = defaultdict(list)
        for key, image in new.items():
            loaded = image.load()
            by_shape[loaded.inputs.shape].append((key, loaded))
        for group in by_shape.values():
            for start in range(0, len(group), self.batch_size):
                part = group[start : start + self.batch_size]
                features = self._forward_images([each for _, each in part])
                for (key, _), each in zip(part, features, strict=True):
                    self.cache.put(key, each)
                    found[key] = each
        return [found[image.key] for image in images]

    def _forward_images(
        self, images: list['LoadedImage']
    ) -> list[ImageFeatures]:
        """Features of images that have one shape."""
        data = dict(inputs=[image.inputs for image in images])
        inputs = self.data_preprocessor(data, False)['inputs']
        tokens = self.token_map(inputs).float()
        size = tuple(inputs.shape[-2:])
        if self.readout != 'bilinear-cosine':
            tokens = nn.functional.normalize(tokens, dim=1)
        patch = [s / n for s, n in zip(size, tokens.shape[-2:], strict=True)]
        features = []
        for image, each in zip(images, tokens, strict=True):
            norms = None
            if self.readout == 'bilinear-cosine':
                norms = pixel_norms(each, size)
            cell = (patch[1] / image.scale[0], patch[0] / image.scale[1])
            # A copy: a view would keep the whole batch alive in the cache.
            features.append(
                ImageFeatures(each.clone(), size, cell, image.size, norms)
            )
        return features

    @torch.no_grad()
    def token_map(self, inputs: Tensor) -> Tensor:
        """Patch tokens (B, C, h, w) of preprocessed images (B, 3, H, W)."""
        backbone = self.backbone
        if isinstance(backbone, PromptedBackbone):
            backbone = until_layer(backbone, self.layer, self.norm)
            backbone.out_type = 'featmap'
        output = backbone(inputs)
        tokens = output[-1] if isinstance(output, tuple | list) else output
        if not isinstance(tokens, Tensor) or tokens.ndim != 4:
            raise ValueError(
                f'{type(self.backbone).__name__} must give a feature map (B, '
                f'C, h, w); set its out_type to "featmap".'
            )
        return tokens

    # -- matching ----------------------------------------------------------
    @torch.no_grad()
    def match(
        self, source: ImageFeatures, target: ImageFeatures, points: Tensor
    ) -> dict[str, Tensor]:
        """Find points of the source in the target.

        Args:
            source (ImageFeatures): From :meth:`extract`.
            target (ImageFeatures): From :meth:`extract`.
            points (Tensor): (n, 2), x before y, in pixels of the original
                source image.

        Returns:
            dict[str, Tensor]: ``points`` (n, 2) in pixels of the original
            target image, float64; ``scores`` (n,), cosines; and ``mutual``
            (n,), bool, if matches are searched back. On the CPU.
        """
        # Few numbers, so on the CPU: Apple's GPUs have no float64.
        points = torch.as_tensor(points, dtype=torch.float64, device='cpu')
        cells = points / points.new_tensor(source.cell)
        with torch.autocast(source.tokens.device.type, enabled=False):
            found, scores, mutual = match_points(
                source, target, cells, self.readout, self.mutual_radius
            )
        matches = dict(
            points=found * found.new_tensor(target.cell),
            scores=scores.cpu(),
        )
        if mutual is not None:
            matches['mutual'] = mutual
        return matches

    def forward(
        self,
        source: Sequence['ImageRef'],
        target: Sequence['ImageRef'],
        data_samples: Sequence[BaseDataElement],
        mode: str = 'predict',
    ) -> list[BaseDataElement]:
        """Match a batch of pairs.

        Args:
            source (Sequence[ImageRef]): Source images.
            target (Sequence[ImageRef]): Target images.
            data_samples (Sequence[BaseDataElement]): With ``source_points``
                (n, 2), in pixels of the original source image.
            mode (str): ``'predict'`` only.

        Returns:
            list[BaseDataElement]: The samples with ``pred_points``,
            ``pred_scores``, ``pred_mutual``, and with ``cell``, ``grid``,
            ``source_size`` and ``target_size``, which the metric's other rows
            are made of.
        """
        if mode != 'predict':
            raise ValueError(
                f"mode must be 'predict', got {mode!r}: nothing is trained "
                f'for matching.'
            )
        features = self.extract([*source, *target])
        pairs = zip(
            features[: len(source)],
            features[len(source) :],
            data_samples,
            strict=True,
        )
        for one, other, sample in pairs:
            matches = self.match(one, other, sample.source_points)
            for name, value in matches.items():
                sample.set_field(value, f'pred_{name}')
            sample.set_metainfo(
                dict(
                    cell=other.cell,
                    grid=other.grid,
                    source_size=one.image_size,
                    target_size=other.image_size,
                )
            )
        return list(data_samples)

    def test_step(self, data: dict) -> list[BaseDataElement]:
        """Match a batch of pairs; their images are prepared when read."""
        return self(**data, mode='predict')

    def val_step(self, data: dict) -> list[BaseDataElement]:
        """As :meth:`test_step`."""
        return self.test_step(data)
