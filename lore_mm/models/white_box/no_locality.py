"""The ablation without the Locality Interaction Network."""

from torch import Tensor, nn

from lore_mm.registry import MODELS

from .locality import pool_tokens
from .white_box import WhiteBox


class PassThrough(nn.Module):
    """In the place of the LIN: patch tokens (B, N, d) stay as they are."""

    def forward(self, tokens: Tensor) -> Tensor:
        """The tokens themselves."""
        return tokens

    def pooled(
        self, tokens: Tensor, pool: str = 'mean', top: int = 3
    ) -> Tensor:
        """The tokens pooled over patches."""
        # Only ``outlier`` reads distances; the White Box refuses it.
        return pool_tokens(tokens, pool, None, top)

    def forward_pooled(
        self, tokens: Tensor, pool: str = 'mean', top: int = 3
    ) -> tuple[Tensor, Tensor]:
        """Both of the above."""
        return tokens, self.pooled(tokens, pool, top)


@MODELS.register_module()
class WhiteBoxWithoutLIN(WhiteBox):
    """A White Box whose PG and KLA read the patch tokens themselves.

    Arguments are those of :class:`WhiteBox`; those of the LIN are not used.

    Raises:
        ValueError: ``pool='outlier'``, which needs the LIN's graph.
    """

    def __init__(self, embed_dims: int, num_layers: int, **kwargs) -> None:
        super().__init__(embed_dims, num_layers, **kwargs)
        if self.pool == 'outlier':
            raise ValueError(
                "pool='outlier' needs the graph of the LIN, which is left "
                "out; take 'mean' or 'max'."
            )
        self.lin = PassThrough()
