"""Attention maps of an image: the arrays, a picture, files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from lore_mm.engine.files import replace_when_done
from lore_mm.visualization.attention_row import MapRow, draw_map_rows

from .images import ImageInput, image_path


@dataclass(frozen=True)
class AttentionMaps:
    """What one image's tokens attend to.

    A map is a grid (h, w) with one weight for each patch.

    Attributes:
        image (np.ndarray): RGB (H, W, 3), uint8, as the ViT sees it.
        black_box (np.ndarray): Map of the bare ViT.
        lore (np.ndarray | None): Map with prompts; None for a bare model.
        kla (np.ndarray | None): Knowledge-Locality Attention of the class
            ``label`` over the patches; None where the model has none.
        prompt_share (np.ndarray | None): Weight on each prompt (M,), global
            ones first; None for rollout and for a bare model.
        black_box_heads, lore_heads (np.ndarray | None): Maps of every head
            (heads, h, w); None for rollout.
        layer (int): The block, from 0.
        query (tuple[int, int] | None): Row and column of the patch that
            asks; None is the CLS token.
        label (int | None): Predicted class; None without a head.
        name (str | None): Its name.
    """

    image: np.ndarray
    black_box: np.ndarray
    lore: np.ndarray | None
    kla: np.ndarray | None
    prompt_share: np.ndarray | None
    black_box_heads: np.ndarray | None
    lore_heads: np.ndarray | None
    layer: int
    query: tuple[int, int] | None
    label: int | None = None
    name: str | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """All that is known, for ``np.savez``."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {k: np.asarray(v) for k, v in found.items() if v is not None}


def map_row(maps: AttentionMaps, title: str = '') -> MapRow:
    """What :func:`draw_map_rows` draws of an image."""
    named = {'B-B': maps.black_box, 'KLA': maps.kla, 'LORE': maps.lore}
    return MapRow(
        maps.image,
        {name: grid for name, grid in named.items() if grid is not None},
        title=' '.join(filter(None, [title, maps.name])),
        query=maps.query,
    )


def save_maps(
    maps: dict[str, AttentionMaps], target: str | Path, height: int = 224
) -> Path:
    """Write one row for each model, and the arrays beside the picture.

    Args:
        maps (dict): By the name of the model; arrays of several models get
            it as a prefix.
        target (str | Path): The PNG; the npz has the same stem.
        height (int): Height of each picture in pixels.
    """
    target = Path(target)
    picture = draw_map_rows(
        [map_row(each, name) for name, each in maps.items()], height
    )
    with replace_when_done(target) as temp:
        Image.fromarray(picture).save(temp, 'PNG')
    found = {
        f'{name}.{key}' if name else key: value
        for name, each in maps.items()
        for key, value in each.arrays().items()
    }
    arrays = replace_when_done(target.with_suffix('.npz'))
    with arrays as temp, temp.open('wb') as file:
        np.savez_compressed(file, **found)
    return target


def output_names(
    images: Sequence[ImageInput], out_dir: str | Path
) -> Iterator[Path]:
    """A PNG for each image, named after it; equal names are numbered."""
    used: set[str] = set()
    for index, image in enumerate(images):
        stem = Path(image_path(image) or f'image_{index}').stem
        name = stem if stem not in used else f'{stem}_{index}'
        used.add(name)
        yield Path(out_dir) / f'{name}.png'
