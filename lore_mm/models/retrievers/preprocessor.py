"""Normalise images that differ in size."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor

from lore_mm.registry import MODELS


@MODELS.register_module()
class MixedSizePreprocessor(BaseDataPreprocessor):
    """Normalise a list of images; none is padded or stacked.

    Args:
        mean (Sequence[float]): Mean of each channel, in units of 0..255 and
            in the order of the pixels (RGB with ``LoadRGBImage``).
        std (Sequence[float]): Standard deviation, likewise.
        non_blocking (bool): As in mmengine. Defaults to False.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        non_blocking: bool = False,
    ) -> None:
        super().__init__(non_blocking)
        for name, values in (('mean', mean), ('std', std)):
            tensor = torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, tensor.view(-1, 1, 1), False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise ``data['inputs']``.

        Args:
            data (dict): ``inputs``, images (3, H, W), and ``data_samples``.
            training (bool): Not used.

        Returns:
            dict: The same, with ``inputs`` a list of float32 images on the
            model's device.
        """
        data = self.cast_data(data)
        images = [(img - self.mean) / self.std for img in data['inputs']]
        return {**data, 'inputs': images}
