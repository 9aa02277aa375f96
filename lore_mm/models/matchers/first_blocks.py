"""Read the tokens of any layer: a backbone that ends early."""

import copy

from torch import Tensor, nn

from ..backbones.base import PromptedBackbone
from ..black_boxes import BlackBox


class FirstBlocks(nn.Module):
    """A Black Box seen without its last blocks; weights are shared.

    Args:
        black_box (BlackBox): The whole ViT.
        number (int): Blocks to run.
        norm (bool): Whether the ViT's last norm follows. Defaults to True.
    """

    def __init__(
        self, black_box: BlackBox, number: int, norm: bool = True
    ) -> None:
        super().__init__()
        self.black_box = black_box
        self.number = number
        self.with_norm = norm

    @property
    def blocks(self) -> nn.Module:
        """The first blocks."""
        return self.black_box.blocks[: self.number]

    def norm(self, tokens: Tensor) -> Tensor:
        """The ViT's last norm, or nothing."""
        return self.black_box.norm(tokens) if self.with_norm else tokens

    def __getattr__(self, name: str) -> object:
        """All else is as in the Black Box."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__('black_box'), name)


def check_layer(layer: int | None, backbone: nn.Module) -> None:
    """Raise ``ValueError`` unless ``backbone`` has this many blocks."""
    if layer is None:
        return
    if not isinstance(backbone, PromptedBackbone):
        raise ValueError(
            f'layer must be None for a {type(backbone).__name__}, which gives '
            f'its own layer, got {layer}; a LOREViT can be read anywhere.'
        )
    number = len(backbone.black_box.blocks)
    if isinstance(layer, bool) or not 1 <= layer <= number:
        raise ValueError(f'layer must be in [1, {number}], got {layer}.')


def until_layer(
    backbone: PromptedBackbone, layer: int | None, norm: bool
) -> PromptedBackbone:
    """A view of ``backbone`` that ends after block ``layer``.

    Modules and weights are those of ``backbone``, prompts enter as they do
    there. The view is made in microseconds; make it anew for each use.

    Args:
        backbone (PromptedBackbone): The backbone.
        layer (int, optional): Number of blocks to run; None is all.
        norm (bool): Whether the ViT's last norm follows.
    """
    view = copy.copy(backbone)
    black_box = backbone.black_box
    number = len(black_box.blocks) if layer is None else layer
    view._modules = {
        **backbone._modules,
        'black_box': FirstBlocks(black_box, number, norm),
    }
    return view
