"""Look at one image after the other: classes and attention maps."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.registry import DATASETS

from lore_mm.visualization.attention_row import draw_map_cells

from .attention import AttentionVisualizer
from .attention_maps import map_row
from .classification import ClassificationInferencer
from .image_attention import ImageAttention, Query
from .images import read_rgb
from .model import ConfigSource, default_scope

# What a data set raises whose files or package are not there.
_NO_DATA = (OSError, ValueError, ImportError)


class Opened(NamedTuple):
    """What is known of an image.

    Attributes:
        scores (dict[str, float]): Probabilities of the best classes.
        attention (ImageAttention): Of every block.
    """

    scores: dict[str, float]
    attention: ImageAttention


class ImageExplorer:
    """What ``tools/demo.py`` shows, without a page.

    An image goes through the ViT once; :meth:`pictures` then only reads the
    weights that were kept, so that a slider moves at once.

    Args:
        config (str | Path | Config): See :func:`init_model`.
        checkpoint (str | Path, optional): See :func:`init_model`.
        device (str, optional): Defaults to None: a GPU where there is one.
        cfg_options (dict, optional): Values of the config to override.
        topk (int): Classes to tell. Defaults to 5.
        height (int): Height of the pictures in pixels. Defaults to 336.

    Raises:
        FileNotFoundError, CheckpointError, ConfigError: See
            :func:`init_model` and :class:`AttentionVisualizer`.

    Examples:
        >>> explore = ImageExplorer('work_dirs/vit-s_cub')
        >>> scores, attention = explore.open('bird.jpg')
        >>> explore.pictures(attention, layer=3)  # {'B-B': (H, W, 3), ...}
    """

    def __init__(
        self,
        config: ConfigSource,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: dict | None = None,
        topk: int = 5,
        height: int = 336,
    ) -> None:
        self.classify = ClassificationInferencer(
            config, checkpoint, device, cfg_options
        )
        self.visualize = AttentionVisualizer(self.classify.model)
        self.num_layers = self.visualize.num_layers
        self.num_heads = self.visualize.num_heads
        self.topk = topk
        self.height = height

    def open(self, path: str | Path) -> Opened:
        """Classify an image and keep its attention.

        Raises:
            ValueError: It cannot be read, or the model has blocks whose
                attention cannot be recomputed. The message has the name of
                the file, not its folder.
            FileNotFoundError: There is no such file.
        """
        try:
            pixels = read_rgb(path)
        except ValueError as error:
            text = str(error).replace(str(path), Path(path).name)
            raise ValueError(text) from error
        found = self.classify(pixels, topk=self.topk)[0]
        attention = self.visualize.read(pixels, found['labels'][0])
        scores = zip(found['names'], found['scores'], strict=True)
        return Opened(dict(scores), attention)

    def pictures(
        self,
        attention: ImageAttention,
        layer: int = -1,
        head: int | None = None,
        query: Query = 'cls',
        rollout: bool = False,
    ) -> tuple[dict[str, np.ndarray], float | None]:
        """The image and its maps on one colour scale.

        Args:
            attention (ImageAttention): Of :meth:`open`.
            layer (int): See :meth:`AttentionVisualizer.compute`.
            head (int, optional): As there.
            query (str | tuple): As there.
            rollout (bool): As there.

        Returns:
            tuple: RGB pictures (H, W, 3) by name: ``image``, ``B-B``, and
            ``KLA`` and ``LORE`` where the model has them. And the share of
            the attention that LORE's prompts get; None where there is none.
        """
        maps = attention.maps(layer, head, query, rollout)
        row = map_row(maps)._replace(title='image')
        share = maps.prompt_share
        return (
            draw_map_cells(row, self.height),
            None if share is None else float(share.sum()),
        )

    def query_at(
        self, attention: ImageAttention, x: float, y: float
    ) -> tuple[float, float]:
        """Pixel of the image as the ViT sees it, of one of a picture."""
        height, width = attention.image.shape[:2]
        ratio = height / self.height
        return (
            min(max(x * ratio, 0), width - 1),
            min(max(y * ratio, 0), height - 1),
        )

    def examples(self, number: int = 6) -> list[Path]:
        """Images of the config's test set, from all over it.

        Returns:
            list[Path]: At most ``number``; none where the data are not here.
        """
        cfg = self.classify.model.cfg
        dataset = cfg.test_dataloader.dataset
        try:
            with default_scope(cfg):
                found = DATASETS.build(dataset)
            # The middle of equal parts: sets are often sorted by class.
            total, count = len(found), min(number, len(found))
            picked = [(2 * i + 1) * total // (2 * count) for i in range(count)]
            paths = [found.get_data_info(i).get('img_path') for i in picked]
        except _NO_DATA:
            return []
        return [Path(path) for path in paths if path and Path(path).is_file()]
