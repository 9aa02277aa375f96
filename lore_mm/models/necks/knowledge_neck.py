"""The ablation without Knowledge-Locality Attention."""

from torch import Tensor, nn

from lore_mm.registry import MODELS

from .knowledge_locality_neck import KnowledgeLocalityNeck


@MODELS.register_module()
class KnowledgeNeck(KnowledgeLocalityNeck):
    """Prototypes from the texts alone: L_kp without KLA.

    A linear map of the class embeddings, the same prototypes for every image,
    in the place of attention over its patches. Arguments are those of
    :class:`KnowledgeLocalityNeck`; those of the attention are not used.
    """

    def __init__(
        self,
        num_classes: int,
        embed_dims: int,
        text_dims: int,
        knowledge: dict,
        **kwargs,
    ) -> None:
        super().__init__(
            num_classes, embed_dims, text_dims, knowledge, **kwargs
        )
        self.attention = nn.Linear(text_dims, embed_dims)

    def prototypes(self, tokens: Tensor) -> Tensor:
        """The same prototypes (B, K, d) for all images."""
        prototypes = self.attention(self.class_embeddings)  # (K, d)
        return prototypes.expand(len(tokens), -1, -1)
