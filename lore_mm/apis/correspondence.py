"""Find points of one image in another, from Python."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from numpy.typing import ArrayLike
from PIL import Image

from lore_mm.datasets.pair_images import ImageRef
from lore_mm.datasets.pairs import check_points
from lore_mm.engine.options import merge_options
from lore_mm.evaluation.functional.pck import pck
from lore_mm.models import KeypointMatcher
from lore_mm.visualization.match_lines import draw_matches
from lore_mm.visualization.picture_file import picture_format, save_picture

from .images import PixelPipeline, read_rgb
from .model import build_model, read_sources, without_white_box
from .model_kind import check_kind


@dataclass
class Correspondence:
    """Matched points of two images.

    Attributes:
        source_points (np.ndarray): (n, 2), x before y, in pixels of the
            source image.
        target_points (np.ndarray): What was found, (n, 2), in pixels of the
            target image.
        scores (np.ndarray): Cosines (n,).
        mutual (np.ndarray | None): Which matches are mutual, bool (n,).
        correct (np.ndarray | None): Which are correct, bool (n,), where the
            truth was given.
        picture (np.ndarray): Both images side by side with lines, RGB uint8.
    """

    source_points: np.ndarray
    target_points: np.ndarray
    scores: np.ndarray
    mutual: np.ndarray | None
    correct: np.ndarray | None
    picture: np.ndarray


class CorrespondenceInferencer:
    """Match points between two images.

    Args:
        config (str | Path | Config): A config of ``configs/correspondence/``,
            or any other with a ``KeypointMatcher``: a path, the name of a
            shipped one such as ``'correspondence/vit-s_pf-willow'``, or a
            Config.
        checkpoint (str | Path, optional): A trained LORE. Defaults to None:
            the bare Black Box, whatever the config says of a White Box.
        device (str, optional): Defaults to None: a GPU where there is one.
            Features of the images that were used last are kept there, up to
            2 GB; ``model.cache_mb`` bounds them.
        cfg_options (dict, optional): Values to override, by dotted keys, such
            as ``{'model.cache_mb': 256}``.

    Raises:
        FileNotFoundError: There is no such config.
        ConfigError: An option is misspelt.
        ValueError: The model of the config is no ``KeypointMatcher``.

    Examples:
        >>> from lore_mm.apis import CorrespondenceInferencer
        >>> match = CorrespondenceInferencer('correspondence/vit-s_pf-willow')
        >>> found = match('a.jpg', 'b.jpg', points=[[120, 80], [60, 75]])
        >>> found = match('a.jpg', 'b.jpg', grid=8, out_file='lines.png')
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: dict | None = None,
    ) -> None:
        cfg, loaded = read_sources(config, checkpoint)
        if loaded is None:
            without_white_box(cfg)
        if cfg_options:
            merge_options(cfg, cfg_options)
        self.model = build_model(cfg, loaded, device)
        check_kind(self.model, KeypointMatcher, 'correspondence')
        self.pipeline = PixelPipeline(cfg)

    def __call__(
        self,
        source: str | Path | np.ndarray,
        target: str | Path | np.ndarray,
        points: ArrayLike | None = None,
        grid: int = 8,
        target_points: ArrayLike | None = None,
        target_box: Sequence[float] | None = None,
        alpha: float = 0.1,
        out_file: str | Path | None = None,
        height: int = 400,
    ) -> Correspondence:
        """Find points of ``source`` in ``target``.

        Args:
            source (str | Path | np.ndarray): A file, or RGB pixels (H, W, 3),
                uint8.
            target (str | Path | np.ndarray): Likewise.
            points (array, optional): (n, 2), x before y, in pixels of the
                source. Defaults to None: a grid.
            grid (int): Points along each side of that grid. Defaults to 8.
            target_points (array, optional): The truth (n, 2), to colour the
                lines by.
            target_box (Sequence[float], optional): Box [x1, y1, x2, y2] of
                the object in the target, for the threshold. Defaults to that
                of ``target_points``.
            alpha (float): Correct is within ``alpha`` times the longer side
                of the box. Defaults to 0.1.
            out_file (str | Path, optional): Write the picture there.
            height (int): Height of the picture. Defaults to 400.

        Returns:
            Correspondence: Matches and picture.

        Raises:
            ValueError: A point is outside its image, the numbers of points
                differ, a file is no image, or the picture cannot be written.
            FileNotFoundError: A file is missing.
        """
        if out_file is not None:
            picture_format(out_file)  # told before the work
        pixels = [read_rgb(image) for image in (source, target)]
        sizes = [(image.shape[1], image.shape[0]) for image in pixels]
        if points is None:
            points = grid_points(sizes[0], grid)
        points = check_points(points, sizes[0], 'source', 'points')
        # Named by their content: an image of an earlier call is known.
        images = [self._image(each) for each in pixels]
        features = self.model.extract(images)
        found = self.model.match(*features, points)
        matched = found['points'].numpy()
        mutual = found['mutual'].numpy() if 'mutual' in found else None
        correct = None
        if target_points is not None:
            target_points = check_points(
                target_points, sizes[1], 'target', 'target_points'
            )
            if target_box is None:
                target_box = [*target_points.min(0), *target_points.max(0)]
            correct = pck(matched, target_points, target_box, alpha)
        picture = draw_matches(
            *pixels, points, matched, correct, mutual, target_points, height
        )
        if out_file is not None:
            save_picture(out_file, Image.fromarray(picture))
        scores = found['scores'].numpy()
        return Correspondence(
            points, matched, scores, mutual, correct, picture
        )

    def _image(self, pixels: np.ndarray) -> ImageRef:
        """An image that is known by its content."""
        return ImageRef(_digest(pixels), lambda results: self.pipeline(pixels))


def grid_points(size: tuple[int, int], number: int) -> np.ndarray:
    """A regular grid of points in an image.

    Args:
        size (tuple[int, int]): Width and height.
        number (int): Points along each side.

    Returns:
        np.ndarray: (number * number, 2), x before y, row by row.

    Raises:
        ValueError: ``number`` is not positive.
    """
    if number < 1:
        raise ValueError(f'grid must be >= 1, got {number}.')
    share = (np.arange(number) + 0.5) / number
    x, y = np.meshgrid(share * size[0], share * size[1])
    return np.stack([x.ravel(), y.ravel()], 1)


def _digest(pixels: np.ndarray) -> str:
    """Hash of an image's size and pixels."""
    content = hashlib.sha256(str(pixels.shape).encode())
    content.update(np.ascontiguousarray(pixels))
    return content.hexdigest()
