"""Video object segmentation by the patch tokens of a frozen ViT."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from mmseg.models.segmentors import BaseSegmentor
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from lore_mm.evaluation.functional import LabelPropagation
from lore_mm.registry import MODELS

from .mask_sequence import MaskSequence


@MODELS.register_module()
class LabelPropagator(BaseSegmentor):
    """Follow the objects of a first mask through a video.

    Nothing is trained: load the checkpoint of a classifier, whose backbone
    has the same name. Frames are read, run and forgotten one by one.

    Args:
        backbone (dict | nn.Module): For example a :class:`LOREViT`; its
            ``out_type`` is set to ``'featmap'`` where it has that choice.
        propagation (dict, optional): Arguments of
            :class:`lore_mm.evaluation.functional.LabelPropagation`: context,
            window, top_k, temperature and so on. Defaults to None: DINO's.
        data_preprocessor (dict | nn.Module, optional): A
            :class:`FramePreprocessor`.
        test_cfg, train_cfg: Not used; mmseg's arguments.
        init_cfg (dict, optional): As in mmengine.

    Raises:
        ValueError: An argument of ``propagation`` is wrong.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        propagation: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if isinstance(backbone, dict):
            backbone = MODELS.build(backbone)
        self.backbone = backbone
        if 'featmap' in getattr(backbone, 'OUT_TYPES', ()):
            backbone.out_type = 'featmap'
        self.propagation = dict(propagation or {})
        LabelPropagation(**self.propagation)  # wrong options show here

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Patch tokens (B, C, h, w) of normalised frames (B, 3, H, W)."""
        features = self.backbone(inputs)
        return features[-1] if isinstance(features, tuple) else features

    def predict(
        self,
        inputs: Iterable[Iterable[np.ndarray]],
        data_samples: Sequence[SegDataSample],
    ) -> list[SegDataSample]:
        """Segment videos.

        Args:
            inputs (Iterable): Videos, each of RGB frames (H, W, 3), uint8.
            data_samples (Sequence[SegDataSample]): One for each, with the
                first mask (1, H, W) as ``gt_sem_seg``.

        Returns:
            list[SegDataSample]: The same with ``pred_masks``, a
            :class:`MaskSequence` of ids (H, W), one for each frame.
        """
        for video, sample in zip(inputs, data_samples, strict=True):
            first = sample.gt_sem_seg.data[0].cpu().numpy()
            name = sample.metainfo.get('sequence', 'video')
            masks = MaskSequence()
            for mask in self.propagate(video, first, name):
                masks.append(mask)
            sample.set_field(masks, 'pred_masks')
        return list(data_samples)

    @torch.no_grad()
    def propagate(
        self,
        frames: Iterable[np.ndarray],
        first_mask: np.ndarray,
        name: str = 'video',
    ) -> Iterator[np.ndarray]:
        """Masks of a video, one after the other.

        Args:
            frames (Iterable[np.ndarray]): RGB (H, W, 3), uint8.
            first_mask (np.ndarray): Ids of the first frame (H, W).
            name (str): For messages. Defaults to ``'video'``.

        Yields:
            np.ndarray: Ids (H, W); the first is ``first_mask``.

        Raises:
            ValueError: The mask and the frames differ in size, or a frame is
                not RGB of type uint8.
        """
        state = LabelPropagation(**self.propagation)
        size = first_mask.shape
        for index, img in enumerate(frames):
            what = f"frame {index} of '{name}'"
            inputs = self.data_preprocessor.frame(img, what)
            if img.shape[:2] != size:
                raise ValueError(
                    f'{what} has {img.shape[0]} x {img.shape[1]} pixels, but '
                    f'the first mask {size[0]} x {size[1]}; they must be of '
                    f'one size.'
                )
            features = self.extract_feat(inputs)[0]
            # Cosines need all their digits, whatever the ViT ran with.
            with torch.autocast(features.device.type, enabled=False):
                if index == 0:
                    state.start(features, first_mask)
                    mask = first_mask
                else:
                    patch_size = inputs.shape[-2] // features.shape[-2]
                    mask = state.to_mask(state.step(features), patch_size)
            yield mask

    def _forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[SegDataSample] | None = None,
    ) -> Tensor:
        """Patch tokens (B, C, h, w): mode ``'tensor'``."""
        return self.extract_feat(inputs)

    def loss(self, inputs: object, data_samples: object) -> dict:
        """Nothing is trained here.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            'a LabelPropagator has nothing to train; train an '
            'ImageClassifier and load its checkpoint.'
        )

    def encode_decode(
        self, inputs: object, batch_data_samples: object
    ) -> None:
        """Of mmseg's segmentors for single images.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            'a LabelPropagator segments videos: call predict() or propagate().'
        )
