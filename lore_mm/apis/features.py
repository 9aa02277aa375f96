"""Features of images, from Python."""

from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor

from lore_mm.engine.config_keys import ConfigError

from .images import ImageInputs, PixelPipeline, image_batches, list_inputs
from .model import ConfigSource, build_model, read_sources

OUT_TYPES = ('cls_token', 'featmap', 'raw')

_PREPROCESSORS = ('ClsDataPreprocessor', 'mmpretrain.ClsDataPreprocessor')


class FeatureExtractor:
    """Features of the ViT after its last norm.

    Args:
        config (str | Path | Config): A config of a classifier, or the path
            or the name of one; or a checkpoint or a work folder alone.
        checkpoint (str | Path, optional): See :func:`init_model`. Defaults
            to None: the bare Black Box, unless ``config`` is a checkpoint.
        out_type (str): For each image

            - ``cls_token``: (C,);
            - ``featmap``: (C, h, w), one cell for each patch;
            - ``raw``: (P + N, C), CLS and register tokens, then patches.

            Defaults to ``cls_token``.
        white_box (bool): False is the bare Black Box whatever was trained:
            B-B and LORE by one key. Defaults to True.
        device (str, optional): Defaults to None: a GPU where there is one.
        cfg_options (dict, optional): Values of the config to override, by
            dotted keys.

    Raises:
        FileNotFoundError, CheckpointError, ConfigError: See
            :func:`init_model`.
        ValueError: ``out_type`` is unknown.

    Examples:
        >>> lore = FeatureExtractor('work_dirs/vit-s_cub', out_type='featmap')
        >>> maps = lore('photos/', batch_size=32)
        >>> maps[0].shape
        torch.Size([384, 16, 16])
        >>> bare = FeatureExtractor('work_dirs/vit-s_cub', white_box=False)
    """

    def __init__(
        self,
        config: ConfigSource,
        checkpoint: str | Path | None = None,
        out_type: str = 'cls_token',
        white_box: bool = True,
        device: str | torch.device | None = None,
        cfg_options: dict | None = None,
    ) -> None:
        if out_type not in OUT_TYPES:
            raise ValueError(
                f'out_type must be one of {OUT_TYPES}, got {out_type!r}.'
            )
        cfg, loaded = read_sources(config, checkpoint, cfg_options)
        if not white_box:
            loaded = None  # of the Black Box nothing was trained
        cfg.model = _backbone_alone(cfg, out_type, bare=loaded is None)
        self.model = build_model(cfg, loaded, device)
        self.pipeline = PixelPipeline(cfg)

    @torch.inference_mode()
    def __call__(
        self,
        inputs: ImageInputs,
        batch_size: int = 16,
        num_workers: int = 0,
    ) -> list[Tensor]:
        """Compute features.

        Args:
            inputs (ImageInputs): See :class:`ClassificationInferencer`.
            batch_size (int): Images per batch. Defaults to 16.
            num_workers (int): Processes that load images. Defaults to 0.

        Returns:
            list[Tensor]: One for each image, on the CPU; ``torch.stack``
            makes one tensor of them.

        Raises:
            FileNotFoundError, ValueError: As
                :class:`ClassificationInferencer`.
        """
        found: list[Tensor] = []
        batches = image_batches(
            list_inputs(inputs), self.pipeline, batch_size, num_workers
        )
        for batch in batches:
            inputs = self.model.data_preprocessor(batch, False)['inputs']
            found += self.model.backbone(inputs)[-1].cpu()
        return found


def _backbone_alone(cfg: Config, out_type: str, bare: bool) -> dict:
    """A classifier without neck and head."""
    backbone = cfg.model.get('backbone') or {}
    if 'black_box' not in backbone:
        raise ConfigError(
            'the backbone of the config must be one of this package, around '
            f'a Black Box, got {backbone.get("type")!r}.'
        )
    preprocessor = cfg.model.get('data_preprocessor')
    preprocessor = preprocessor or cfg.get('data_preprocessor') or {}
    kind = preprocessor.get('type', _PREPROCESSORS[0])
    if kind not in _PREPROCESSORS:
        raise ConfigError(
            f'the config must be that of a classifier, whose images one '
            f'{_PREPROCESSORS[0]} normalises, got {kind!r}.'
        )
    backbone = dict(backbone, out_type=out_type)
    if bare:
        backbone = dict(
            type='lore_mm.LOREViT',
            black_box=dict(backbone['black_box'], frozen=True),
            out_type=out_type,
        )
    return dict(
        type='mmpretrain.ImageClassifier',
        backbone=backbone,
        data_preprocessor=dict(preprocessor),
    )
