"""Classify images, from Python."""

from collections.abc import Sequence
from pathlib import Path

import torch

from .images import (
    ImageInputs,
    PixelPipeline,
    image_batches,
    image_path,
    list_inputs,
)
from .model import ConfigSource, init_model


class ClassificationInferencer:
    """Tell the classes of images.

    Class names come with the checkpoint. Neither training data nor a
    knowledge encoder is needed (but CoOp needs its text tower).

    Args:
        config (str | Path | Config): A config, or the path or the name of
            one; or a checkpoint or a work folder alone.
        checkpoint (str | Path, optional): See :func:`init_model`.
        device (str, optional): Defaults to None: a GPU where there is one.
        cfg_options (dict, optional): Values of the config to override, by
            dotted keys.
        classes (Sequence[str], optional): Names to use in the place of the
            checkpoint's. Defaults to None.

    Raises:
        FileNotFoundError, CheckpointError, ConfigError: See
            :func:`init_model`.
        ValueError: The model is no classifier, or the names are not as many
            as its classes.

    Examples:
        >>> classify = ClassificationInferencer('work_dirs/vit-s_textile')
        >>> classify('cloth.png', topk=2)
        [{'path': 'cloth.png', 'labels': [2, 0], 'names': [...], ...}]
        >>> classify(['photos/', pixels, Image.open('a.tif')], batch_size=32)
    """

    def __init__(
        self,
        config: ConfigSource,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: dict | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.model = init_model(config, checkpoint, device, cfg_options)
        head = getattr(self.model, 'head', None)
        if not hasattr(head, 'predict'):
            raise ValueError(
                'the model of the config must be an ImageClassifier with a '
                f'head, got {type(self.model).__name__}.'
            )
        if classes is None:
            classes = self.model.dataset_meta.get('classes')
        number = getattr(head, 'num_classes', None)
        if classes and number and len(classes) != number:
            raise ValueError(
                f'classes must be {number} names, one for each class of the '
                f'head, got {len(classes)}.'
            )
        self.classes = tuple(classes) if classes else None
        self.pipeline = PixelPipeline(self.model.cfg)

    @torch.inference_mode()
    def __call__(
        self,
        inputs: ImageInputs,
        batch_size: int = 16,
        topk: int | None = 5,
        num_workers: int = 0,
    ) -> list[dict]:
        """Classify images.

        Files, PIL images and arrays of any kind are made 8-bit RGB as in
        training: see :class:`lore_mm.datasets.LoadRGBImage`. Large JPEG files
        are decoded reduced where the test pipeline does so (``min_side``).

        Args:
            inputs (ImageInputs): A file, a folder (searched with its
                sub-folders), RGB pixels (H, W, 3) of type uint8, a PIL image,
                or a list of those.
            batch_size (int): Images per batch. Defaults to 16.
            topk (int, optional): Classes to tell, at most. Defaults to 5;
                None tells all.
            num_workers (int): Processes that load images. Defaults to 0.

        Returns:
            list[dict]: For each image ``path`` (None for one in memory) and,
            best first, ``labels``, ``names`` and ``scores`` (probabilities).

        Raises:
            FileNotFoundError: A file or folder does not exist.
            ValueError: There is no image, one cannot be read, or ``topk`` or
                ``batch_size`` is below 1.
        """
        if topk is not None and topk < 1:
            raise ValueError(f'topk must be at least 1, got {topk}.')
        images = list_inputs(inputs)
        results = []
        batches = image_batches(images, self.pipeline, batch_size, num_workers)
        for batch in batches:
            for sample in self.model.test_step(batch):
                path = image_path(images[len(results)])
                results.append(self._result(path, sample.pred_score, topk))
        return results

    def _result(
        self, path: str | None, scores: torch.Tensor, topk: int | None
    ) -> dict:
        """The best classes by the scores (K,) of an image."""
        best = scores.topk(min(topk or len(scores), len(scores)))
        labels = best.indices.tolist()
        names = [
            self.classes[label] if self.classes else str(label)
            for label in labels
        ]
        return dict(
            path=path,
            labels=labels,
            names=names,
            scores=best.values.tolist(),
        )
