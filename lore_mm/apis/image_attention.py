"""All attention weights of one image, and the maps that are read from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lore_mm.models.backbones.attention import rollout as roll_out

from .attention_maps import AttentionMaps

Query = str | tuple[float, float]


@dataclass(frozen=True)
class ImageAttention:
    """Attention weights of an image in every block; no model is needed.

    :meth:`AttentionVisualizer.read` makes it, with all tensors on the CPU.

    Attributes:
        image (np.ndarray): RGB (H, W, 3), uint8, as the ViT sees it.
        patch_size (int): Side of a patch in pixels.
        num_prefix_tokens (int): Tokens before the patches, P.
        black_box (list[Tensor]): Of each block of the bare ViT
            (1, heads, P + N, P + N).
        lore (list[Tensor] | None): The same with prompts, which are the last
            columns; None for a bare model.
        kla (Tensor | None): Knowledge-Locality Attention (K, N).
        label (int | None): Predicted class; None without a head.
        num_classes (int | None): K; None without a head.
        classes (Sequence[str] | None): Their names.
    """

    image: np.ndarray
    patch_size: int
    num_prefix_tokens: int
    black_box: list[Tensor]
    lore: list[Tensor] | None = None
    kla: Tensor | None = None
    label: int | None = None
    num_classes: int | None = None
    classes: Sequence[str] | None = None

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return len(self.black_box)

    @property
    def num_heads(self) -> int:
        """Number of heads of a block."""
        return self.black_box[0].shape[1]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        height, width = self.image.shape[:2]
        return height // self.patch_size, width // self.patch_size

    @torch.no_grad()
    def maps(
        self,
        layer: int = -1,
        head: int | None = None,
        query: Query = 'cls',
        rollout: bool = False,
        label: int | None = None,
    ) -> AttentionMaps:
        """Maps of one layer; see :meth:`AttentionVisualizer.compute`.

        Raises:
            ValueError: An argument is out of its range.
        """
        layer = _layer(layer, self.num_layers)
        if head is not None and not 0 <= head < self.num_heads:
            raise ValueError(
                f'head must be in [0, {self.num_heads - 1}] or None, the '
                f'mean, got {head}.'
            )
        patch = _patch(query, self.image.shape[:2], self.patch_size)
        label = self._label(label)
        read = dict(layer=layer, head=head, patch=patch, rolled=rollout)
        maps, heads, _ = self._read(self.black_box, **read)
        lore = lore_heads = share = kla = None
        if self.lore is not None:
            lore, lore_heads, share = self._read(self.lore, **read)
        if self.kla is not None and label is not None:
            kla = _numpy(self.kla[label].view(self.grid))
        named = label is not None and self.classes
        return AttentionMaps(
            image=self.image,
            black_box=maps,
            lore=lore,
            kla=kla,
            prompt_share=share,
            black_box_heads=heads,
            lore_heads=lore_heads,
            layer=layer,
            query=patch,
            label=label,
            name=self.classes[label] if named else None,
        )

    # -- parts ---------------------------------------------------------------
    def _label(self, label: int | None) -> int | None:
        if label is None:
            return self.label
        number = self.num_classes
        if number is None and self.kla is not None:
            number = len(self.kla)
        if number is not None and not 0 <= label < number:
            raise ValueError(
                f'label must be in [0, {number - 1}], got {label}.'
            )
        return label

    def _read(
        self,
        weights: list[Tensor],
        layer: int,
        head: int | None,
        patch: tuple[int, int] | None,
        rolled: bool,
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Map (h, w), maps of all heads, and the share of each prompt."""
        prefix, grid = self.num_prefix_tokens, self.grid
        row = 0 if patch is None else prefix + patch[0] * grid[1] + patch[1]
        if rolled:
            joint = roll_out(weights[: layer + 1])[0, row, prefix:]
            return _numpy(joint.view(grid)), None, None
        block = weights[layer][0, :, row]  # (heads, T + M)
        number = weights[layer].shape[2]
        heads = block[:, prefix:number].unflatten(1, grid)
        chosen = heads.mean(0) if head is None else heads[head]
        prompts = block[:, number:]
        share = prompts.mean(0) if head is None else prompts[head]
        return _numpy(chosen), _numpy(heads), _numpy(share)


def _layer(layer: int, number: int) -> int:
    if not -number <= layer < number:
        raise ValueError(
            f'layer must be in [{-number}, {number - 1}], got {layer}.'
        )
    return layer % number


def _patch(
    query: Query, shape: tuple[int, int], size: int
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
