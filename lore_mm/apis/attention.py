"""Attention maps of the bare ViT, of KLA and of LORE, from Python."""

from pathlib import Path

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from lore_mm.engine.config_keys import ConfigError
from lore_mm.engine.files import check_work_dir
from lore_mm.models.backbones import LOREViT, PromptedViT
from lore_mm.models.backbones.attention import attention_of_blocks, rollout
from lore_mm.visualization.attention_row import draw_map_rows

from .attention_maps import AttentionMaps, map_row, output_names, save_maps
from .images import (
    ImageInput,
    ImageInputs,
    PixelPipeline,
    image_path,
    list_inputs,
    read_rgb,
)
from .model import ConfigSource, init_model

Query = str | tuple[float, float]


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
            ``PromptedViT``.

    Examples:
        >>> visualize = AttentionVisualizer('work_dirs/vit-s_cub')
        >>> maps = visualize.compute('bird.jpg', layer=-1, query='cls')
        >>> picture = visualize.draw(maps)  # RGB (H, W, 3), uint8
        >>> visualize('photos/', out_dir='maps')  # PNG and npz of each
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
            ValueError: The image cannot be read, or an argument is out of its
                range.
        """
        pixels, inputs = self.prepare(image)
        box, backbone = self.model.backbone.black_box, self.model.backbone
        grid = tuple(side // box.patch_size for side in inputs.shape[2:])
        layer = self._layer(layer)
        if head is not None and not 0 <= head < self.num_heads:
            raise ValueError(
                f'head must be in [0, {self.num_heads - 1}] or None, the '
                f'mean, got {head}.'
            )
        patch = _patch(query, inputs.shape[2:], box.patch_size)
        row = 0
        if patch is not None:
            row = box.num_prefix_tokens + patch[0] * grid[1] + patch[1]
        read = dict(layer=layer, head=head, row=row, rolled=rollout)
        bare = attention_of_blocks(backbone, inputs, bare=True)
        maps, heads, _ = self._read(bare, grid, **read)
        lore = lore_heads = share = None
        if getattr(backbone, 'white_box', True) is not None:
            prompted = attention_of_blocks(backbone, inputs)
            lore, lore_heads, share = self._read(prompted, grid, **read)
        label = self._label(inputs, label)
        classes = (self.model.dataset_meta or {}).get('classes')
        return AttentionMaps(
            image=pixels,
            black_box=maps,
            lore=lore,
            kla=self._kla(inputs, grid, label),
            prompt_share=share,
            black_box_heads=heads,
            lore_heads=lore_heads,
            layer=layer,
            query=patch,
            label=label,
            name=None if label is None or not classes else classes[label],
        )

    def prepare(self, image: ImageInput) -> tuple[np.ndarray, Tensor]:
        """Pixels as the ViT sees them (H, W, 3), and normalised (1, 3, H, W).

        Raises:
            FileNotFoundError, ValueError: The image cannot be read.
        """
        batch = self.pipeline(read_rgb(image), image_path(image))
        pixels = batch['inputs']
        inputs = self.model.data_preprocessor(
            dict(inputs=[pixels], data_samples=[batch['data_samples']]), False
        )['inputs']
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
    def _layer(self, layer: int) -> int:
        number = self.num_layers
        if not -number <= layer < number:
            raise ValueError(
                f'layer must be in [{-number}, {number - 1}], got {layer}.'
            )
        return layer % number

    def _read(
        self,
        weights: list[Tensor],
        grid: tuple[int, int],
        layer: int,
        head: int | None,
        row: int,
        rolled: bool,
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Map (h, w), maps of all heads, and the share of each prompt."""
        prefix = self.model.backbone.black_box.num_prefix_tokens
        if rolled:
            joint = rollout(weights[: layer + 1])[0, row, prefix:]
            return _numpy(joint.view(grid)), None, None
        block = weights[layer][0, :, row]  # (heads, T + M)
        number = weights[layer].shape[2]
        heads = block[:, prefix:number].unflatten(1, grid)
        chosen = heads.mean(0) if head is None else heads[head]
        prompts = block[:, number:]
        share = prompts.mean(0) if head is None else prompts[head]
        return _numpy(chosen), _numpy(heads), _numpy(share)

    def _label(self, inputs: Tensor, label: int | None) -> int | None:
        head = getattr(self.model, 'head', None)
        number = getattr(head, 'num_classes', None)
        if head is None or not hasattr(head, 'predict'):
            return label
        if label is not None:
            if number is not None and not 0 <= label < number:
                raise ValueError(
                    f'label must be in [0, {number - 1}], got {label}.'
                )
            return label
        return int(head(self.model.extract_feat(inputs))[0].argmax())

    def _kla(
        self, inputs: Tensor, grid: tuple[int, int], label: int | None
    ) -> np.ndarray | None:
        weights = kla_weights(self.model, inputs)
        if weights is None or label is None:
            return None
        return _numpy(weights[0, label].view(grid))


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


def _patch(
    query: Query, shape: torch.Size, size: int
) -> tuple[int, int] | None:
    """Row and column of the patch that asks; None for CLS."""
    if query == 'cls':
        return None
    height, width = shape
    try:
        x, y = (float(value) for value in query)
    except (TypeError, ValueError):
        raise ValueError(
            f"query must be 'cls' or x and y in pixels, got {query!r}."
        ) from None
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(
            f'query must lie in the image of {width} x {height} pixels as '
            f'the ViT sees it, got x {x:g}, y {y:g}.'
        )
    return int(y) // size, int(x) // size


def _numpy(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
