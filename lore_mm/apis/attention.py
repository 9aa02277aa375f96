"""Attention maps of the bare ViT, of KLA and of LORE, from Python."""

from pathlib import Path

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from lore_mm.engine.config_keys import ConfigError
from lore_mm.engine.files import check_work_dir
from lore_mm.models.backbones import LOREViT, PromptedViT
from lore_mm.models.backbones.attention import attention_of_blocks
from lore_mm.models.retrievers import MixedSizePreprocessor
from lore_mm.visualization.attention_row import draw_map_rows

from .attention_maps import AttentionMaps, map_row, output_names, save_maps
from .image_attention import ImageAttention, Query
from .images import (
    ImageInput,
    ImageInputs,
    PixelPipeline,
    image_path,
    list_inputs,
    read_rgb,
)
from .model import ConfigSource, init_model


class AttentionVisualizer:
    """Show where the bare ViT, KLA and LORE look (the paper's Figure 3).

    Weights are recomputed from each block's own query and key maps; no hook
    is left in the model.

    Args:
        model (BaseModel | str | Path | Config): A model of
            :func:`init_model`, or what that takes as ``config``.
        checkpoint (str | Path, optional): See :func:`init_model`.
        device (str, optional): Defaults to None: a GPU where there is one.
        cfg_options (dict, optional): Values of the config to override.

    Raises:
        FileNotFoundError, CheckpointError: See :func:`init_model`.
        ConfigError: The backbone is neither a ``LOREViT`` nor a
            ``PromptedViT``, or the config is one of retrieval.

    Examples:
        >>> visualize = AttentionVisualizer('work_dirs/vit-s_cub')
        >>> maps = visualize.compute('bird.jpg', layer=-1, query='cls')
        >>> picture = visualize.draw(maps)  # RGB (H, W, 3), uint8
        >>> visualize('photos/', out_dir='maps')  # PNG and npz of each
        >>> attention = visualize.read('bird.jpg')  # computed once
        >>> every = [attention.maps(layer) for layer in range(12)]
    """

    def __init__(
        self,
        model: BaseModel | ConfigSource,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: dict | None = None,
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            model = init_model(model, checkpoint, device, cfg_options)
        backbone = getattr(model, 'backbone', None)
        if not isinstance(backbone, LOREViT | PromptedViT):
            raise ConfigError(
                'attention maps need a model whose backbone is a LOREViT or '
                f'a PromptedViT, got {type(backbone).__name__}.'
            )
        if isinstance(model.data_preprocessor, MixedSizePreprocessor):
            raise ConfigError(
                'attention maps need a data_preprocessor that makes a batch '
                'of images, got MixedSizePreprocessor, that of retrieval; '
                'take the config of a classifier, with the same checkpoint.'
            )
        self.model = model.eval()
        self.pipeline = PixelPipeline(model.cfg)
        self.num_layers = backbone.black_box.num_layers
        self.num_heads = backbone.black_box.num_heads

    @torch.no_grad()
    def compute(
        self,
        image: ImageInput,
        layer: int = -1,
        head: int | None = None,
        query: Query = 'cls',
        rollout: bool = False,
        label: int | None = None,
    ) -> AttentionMaps:
        """Attention maps of one image.

        Args:
            image (ImageInput): A file, RGB pixels (H, W, 3) or a PIL image.
            layer (int): Block, from 0; negative ones count from the end.
            head (int, optional): A head, from 0. Defaults to None: the mean.
            query (str | tuple): ``'cls'``, or x and y in pixels of the image
                as the ViT sees it: the patch there asks.
            rollout (bool): Attention rollout up to ``layer`` in the place of
                the block's own weights. Defaults to False.
            label (int, optional): Class of the KLA map. Defaults to None,
                the predicted class.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The image cannot be read, an argument is out of its
                range, or a block is no standard pre-norm block.
        """
        return self.read(image, label).maps(layer, head, query, rollout, label)

    @torch.no_grad()
    def read(
        self, image: ImageInput, label: int | None = None
    ) -> ImageAttention:
        """All attention weights of an image, to take many maps from.

        They are kept on the CPU, wherever the model is.

        Args:
            image (ImageInput): A file, RGB pixels (H, W, 3) or a PIL image.
            label (int, optional): Class of the KLA map where none is asked
                for later. Defaults to None, the predicted class.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The image cannot be read, or a block is no standard
                pre-norm block.
        """
        pixels, inputs = self.prepare(image)
        backbone = self.model.backbone
        prompted = None
        if getattr(backbone, 'white_box', True) is not None:
            prompted = _on_cpu(attention_of_blocks(backbone, inputs))
        bare = _on_cpu(attention_of_blocks(backbone, inputs, bare=True))
        kla = kla_weights(self.model, inputs)
        return ImageAttention(
            image=pixels,
            patch_size=backbone.black_box.patch_size,
            num_prefix_tokens=backbone.black_box.num_prefix_tokens,
            black_box=bare,
            lore=prompted,
            kla=None if kla is None else kla[0].cpu(),
            label=self._label(inputs, label),
            num_classes=getattr(
                getattr(self.model, 'head', None), 'num_classes', None
            ),
            classes=(self.model.dataset_meta or {}).get('classes'),
        )

    def prepare(self, image: ImageInput) -> tuple[np.ndarray, Tensor]:
        """Pixels as the ViT sees them (H, W, 3), and normalised (1, 3, H, W).

        Where the data preprocessor pads an image, so are the pixels.

        Raises:
            FileNotFoundError, ValueError: The image cannot be read.
        """
        batch = self.pipeline(read_rgb(image), image_path(image))
        pixels = batch['inputs']
        inputs = self.model.data_preprocessor(
            dict(inputs=[pixels], data_samples=[batch['data_samples']]), False
        )['inputs']
        if inputs.shape[-2:] != pixels.shape[-2:]:
            pixels = _denormalised(inputs[0], self.model.data_preprocessor)
        return pixels.permute(1, 2, 0).contiguous().cpu().numpy(), inputs

    def draw(self, maps: AttentionMaps, height: int = 224) -> np.ndarray:
        """A row: original | B-B | KLA | LORE, on one colour scale.

        Args:
            maps (AttentionMaps): Of :meth:`compute`.
            height (int): Height of each picture in pixels. Defaults to 224.

        Returns:
            np.ndarray: RGB (H, W, 3), uint8.
        """
        return draw_map_rows([map_row(maps)], height)

    def __call__(
        self, inputs: ImageInputs, out_dir: str | Path, **options
    ) -> list[Path]:
        """Write a picture and the arrays (npz) of each image.

        Args:
            inputs (ImageInputs): Files, folders, arrays, PIL images.
            out_dir (str | Path): Where to; made if need be.
            **options: Of :meth:`compute`.

        Returns:
            list[Path]: The pictures.

        Raises:
            ValueError: As :meth:`compute`, or ``out_dir`` cannot be written.
        """
        images = list_inputs(inputs)
        check_work_dir(out_dir)
        return [
            save_maps({'': self.compute(image, **options)}, target)
            for image, target in zip(
                images, output_names(images, out_dir), strict=True
            )
        ]

    # -- parts ---------------------------------------------------------------
    def _label(self, inputs: Tensor, label: int | None) -> int | None:
        head = getattr(self.model, 'head', None)
        if label is not None or not hasattr(head, 'predict'):
            return label
        return int(head(self.model.extract_feat(inputs))[0].argmax())


def _on_cpu(weights: list[Tensor]) -> list[Tensor]:
    """Weights of all blocks, which take a gigabyte of a large image."""
    return [each.cpu() for each in weights]


def _denormalised(img: Tensor, preprocessor: torch.nn.Module) -> Tensor:
    """Pixels (3, H, W), uint8, of a normalised image."""
    pixels = img * getattr(preprocessor, 'std', 1.0)
    pixels = pixels + getattr(preprocessor, 'mean', 0.0)
    return pixels.round().clamp(0, 255).to(torch.uint8)


def kla_weights(model: BaseModel, inputs: Tensor) -> Tensor | None:
    """Knowledge-Locality Attention of every class; LORE, Eq. (6).

    Args:
        model (BaseModel): A classifier in eval mode.
        inputs (Tensor): Normalised images (B, 3, H, W).

    Returns:
        Tensor | None: (B, K, N), mean over heads, rows sum to 1; None where
        the model has no KLA, or no class embeddings.
    """
    neck = getattr(model, 'neck', None)
    attention = getattr(getattr(neck, 'attention', None), 'attention', None)
    if attention is None or not neck.class_embeddings.any():
        return None
    if getattr(model.backbone, 'white_box', None) is None:
        return None
    tokens = model.backbone.explain(inputs).tokens
    return attention(neck.class_embeddings, tokens).mean(1)
