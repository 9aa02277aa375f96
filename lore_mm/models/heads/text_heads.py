"""Heads that compare an image with the text of each class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from lore_mm.registry import MODELS

from ..backbones import LOREFeatures
from ..knowledge import build_class_embeddings
from ..knowledge.templates import DEFAULT_TEMPLATE


class TextHead(ClsHead):
    """Logits are cosines between the CLS token and the classes' texts.

    What the texts are is set by ``set_classes``, which
    :class:`lore_mm.engine.hooks.TextHeadHook` calls with the names of the
    data set. Needs an encoder of texts that shares the space of the projected
    CLS token: CLIP's own.

    Args:
        num_classes (int): K.
        in_channels (int): Width of the projected CLS token, and of the
            text embeddings.
        knowledge (dict): Config of the text encoder.
        scale (float): Factor on the cosines. Defaults to 100, CLIP's.
        loss (dict, optional): Task loss. Defaults to cross-entropy.
        **kwargs: ``topk``, ``cal_acc``, ``init_cfg`` of mmpretrain's
            ``ClsHead``.

    Raises:
        ValueError: ``num_classes`` or ``scale`` is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        knowledge: dict,
        scale: float = 100.0,
        loss: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            loss=loss or dict(type='mmpretrain.CrossEntropyLoss'), **kwargs
        )
        if num_classes < 1:
            raise ValueError(
                f'num_classes must be at least 1, got {num_classes}.'
            )
        if scale <= 0:
            raise ValueError(f'scale must be positive, got {scale}.')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.knowledge = dict(knowledge)
        self.scale = scale

    def set_classes(self, class_names: Sequence[str]) -> None:
        """Take the names of the classes, in label order."""
        raise NotImplementedError

    def text_features(self) -> Tensor:
        """A text embedding of length 1 for each class, (K, in_channels)."""
        raise NotImplementedError

    def check_names(self, class_names: Sequence[str]) -> list[str]:
        """Raise ``ValueError`` unless there are ``num_classes`` names."""
        if len(class_names) != self.num_classes:
            raise ValueError(
                f'the data set has {len(class_names)} classes, the head '
                f'num_classes={self.num_classes}; make them equal.'
            )
        return list(class_names)

    def pre_logits(self, feats: LOREFeatures | tuple[Tensor, ...]) -> Tensor:
        """CLS token of length 1, (B, in_channels)."""
        lore = isinstance(feats, LOREFeatures)
        cls_token = feats.cls_token if lore else feats[-1]
        return F.normalize(cls_token.float(), dim=-1)

    def forward(self, feats: LOREFeatures | tuple[Tensor, ...]) -> Tensor:
        """Logits (B, K), float32 also under autocast."""
        images, texts = self.pre_logits(feats), self.text_features()
        with torch.autocast(images.device.type, enabled=False):
            return self.scale * images @ texts.T

    def loss(
        self,
        feats: LOREFeatures | tuple[Tensor, ...],
        data_samples: list[DataSample],
        **kwargs,
    ) -> dict[str, Tensor]:
        """``loss_cls``."""
        losses = self._get_loss(self(feats), data_samples, **kwargs)
        losses['loss_cls'] = losses.pop('loss')
        return losses


@MODELS.register_module()
class ZeroShotHead(TextHead):
    """Zero-shot CLIP (Radford et al., ICML 2021): nothing is trained.

    Args:
        templates (str | Sequence[str]): Sentences with one ``{}`` for the
            class name. Defaults to LORE's.
        **kwargs: See :class:`TextHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        knowledge: dict,
        templates: str | Sequence[str] = DEFAULT_TEMPLATE,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, knowledge, **kwargs)
        self.templates = templates
        self.register_buffer(
            'class_embeddings', torch.zeros(num_classes, in_channels)
        )

    def set_classes(self, class_names: Sequence[str]) -> None:
        """Embed the names once.

        Raises:
            ValueError: Their number, or the width of their embeddings, is
                not the head's.
        """
        embeddings = build_class_embeddings(
            self.knowledge, self.check_names(class_names), self.templates
        )
        if embeddings.shape[1] != self.in_channels:
            raise ValueError(
                f'the image features have {self.in_channels} channels, the '
                f'texts of {self.knowledge.get("type")!r} '
                f'{embeddings.shape[1]}; take the text tower of the same CLIP.'
            )
        self.class_embeddings.copy_(embeddings)

    def text_features(self) -> Tensor:
        """See :meth:`TextHead.text_features`."""
        return self.class_embeddings


@MODELS.register_module()
class CLIPAdapterHead(ZeroShotHead):
    """CLIP-Adapter (Gao et al., IJCV 2024): a bottleneck on the CLS token.

    ``ratio * relu(W2 relu(W1 x)) + (1 - ratio) * x``, without biases, in the
    place of the projected CLS token ``x``.

    Args:
        reduction (int): Width of the token over that of the bottleneck.
            Defaults to 4.
        ratio (float): Share of the adapter. Defaults to 0.2.
        **kwargs: See :class:`ZeroShotHead`.

    Raises:
        ValueError: ``reduction`` or ``ratio`` is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        knowledge: dict,
        reduction: int = 4,
        ratio: float = 0.2,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, knowledge, **kwargs)
        if not 0 < ratio <= 1:
            raise ValueError(f'ratio must be in (0, 1], got {ratio}.')
        if not 1 <= reduction <= self.in_channels:
            raise ValueError(
                f'reduction must be in [1, {self.in_channels}], got '
                f'{reduction}.'
            )
        self.ratio = ratio
        hidden = self.in_channels // reduction
        self.adapter = nn.Sequential(
            nn.Linear(self.in_channels, hidden, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, self.in_channels, bias=False),
            nn.ReLU(inplace=True),
        )

    def pre_logits(self, feats: LOREFeatures | tuple[Tensor, ...]) -> Tensor:
        """Adapted CLS token of length 1, (B, in_channels)."""
        token = super().pre_logits(feats)
        mixed = self.ratio * self.adapter(token) + (1 - self.ratio) * token
        return F.normalize(mixed.float(), dim=-1)
