"""The neck that adds K-L prototypes in training."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor

from lore_mm.registry import MODELS
from lore_mm.utils import SetupError

from ..backbones import LOREFeatures
from ..knowledge import build_class_embeddings
from ..knowledge.templates import DEFAULT_TEMPLATE
from ..white_box import KnowledgeLocalityAttention


@MODELS.register_module()
class KnowledgeLocalityNeck(BaseModule):
    """Knowledge-Locality Attention between class names and local tokens.

    In training it adds the prototypes to the :class:`LOREFeatures`; at
    inference it hands them on, and nothing it owns is used.

    The class embeddings come from :meth:`set_classes`, which
    :class:`lore_mm.engine.hooks.ClassEmbeddingHook` calls before training
    with the data set's class names.

    Args:
        num_classes (int): K.
        embed_dims (int): Width ``d`` of the ViT's tokens.
        text_dims (int): Width ``d_q`` of the knowledge encoder's embeddings.
        knowledge (dict): Config of the encoder, for example
            ``dict(type='lore_mm.SentenceEncoder')``.
        templates (str | Sequence[str]): Sentences with one ``{}`` for the
            class name. Defaults to the paper's.
        preset, top, num_heads, norm: See
            :class:`KnowledgeLocalityAttention`.
    """

    def __init__(
        self,
        num_classes: int,
        embed_dims: int,
        text_dims: int,
        knowledge: dict,
        templates: str | Sequence[str] = DEFAULT_TEMPLATE,
        preset: str = 'released',
        top: int = 9,
        num_heads: int = 1,
        norm: str = 'batch',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.embed_dims = embed_dims
        self.text_dims = text_dims
        self.knowledge = dict(knowledge)
        self.templates = templates
        self.attention = KnowledgeLocalityAttention(
            embed_dims,
            text_dims,
            preset=preset,
            top=top,
            num_heads=num_heads,
            norm=norm,
        )
        self.register_buffer(
            'class_embeddings', torch.zeros(num_classes, text_dims)
        )
        self._has_classes = False

    def set_classes(self, class_names: Sequence[str]) -> None:
        """Embed the class names.

        Args:
            class_names (Sequence[str]): K names, in label order.

        Raises:
            ValueError: Another number of names than ``num_classes``, or
                embeddings of another width than ``text_dims``.
        """
        if len(class_names) != self.num_classes:
            raise ValueError(
                f'the data set has {len(class_names)} classes, the neck '
                f'num_classes={self.num_classes}; make them equal in the '
                'config.'
            )
        embeddings = build_class_embeddings(
            self.knowledge, class_names, self.templates
        )
        if embeddings.shape[1] != self.text_dims:
            raise ValueError(
                f'text_dims is {self.text_dims}, but the knowledge encoder '
                f'{self.knowledge.get("type")!r} gives {embeddings.shape[1]}; '
                'set text_dims in the neck to that.'
            )
        self.class_embeddings.copy_(embeddings)

    def forward(self, features: LOREFeatures) -> LOREFeatures:
        """Add prototypes (B, K, d) in training.

        Raises:
            SetupError: The backbone does not give :class:`LOREFeatures` with
                tokens of ``embed_dims``, or the class embeddings were never
                set.
        """
        if not isinstance(features, LOREFeatures):
            raise SetupError(
                'KnowledgeLocalityNeck needs LOREFeatures, got '
                f"{type(features).__name__}; set out_type='lore' in LOREViT."
            )
        if not self.training or features.latent is None:
            return features  # inference, or the bare Black Box
        if features.tokens is None:
            raise SetupError(
                'KnowledgeLocalityNeck needs the tokens of a White Box; '
                'give LOREViT one, or leave the neck out.'
            )
        width = features.tokens.shape[-1]
        if width != self.embed_dims:
            raise SetupError(
                f"the neck's embed_dims is {self.embed_dims}, but the Black "
                f"Box's tokens have {width} channels: give that number."
            )
        return features._replace(prototypes=self.prototypes(features.tokens))

    def prototypes(self, tokens: Tensor) -> Tensor:
        """K-L prototypes (B, K, d) from Ê (B, N, d).

        Raises:
            SetupError: The class embeddings were never set.
        """
        # Once, as asking waits for the device.
        self._has_classes = self._has_classes or bool(
            self.class_embeddings.any()
        )
        if not self._has_classes:
            raise SetupError(
                'class embeddings are not set; add '
                "dict(type='lore_mm.ClassEmbeddingHook') to custom_hooks or "
                'call set_classes(names).'
            )
        return self.attention(self.class_embeddings, tokens)
