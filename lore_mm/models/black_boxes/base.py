"""The Black Box: a pre-trained ViT seen through one small protocol."""

import hashlib
from collections.abc import Iterable, Sequence
from operator import attrgetter

import torch
from torch import Tensor, nn

# Resampled position embeddings that a Black Box keeps, one per input size.
_MAX_GRIDS = 16

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class BlackBox(nn.Module):
    """A pre-trained ViT split into the steps that prompts need.

    It is a plain :class:`torch.nn.Module` and not an mmengine ``BaseModule``:
    ``BaseModule.init_weights`` calls ``init_weights`` of every child that has
    one, which would re-initialise a timm ViT after its weights were loaded.

    Args:
        frozen (bool): Freeze all weights and stay in eval mode whatever
            :meth:`train` is told. False is full fine-tuning. Defaults to True.

    Attributes:
        embed_dims (int): Width ``C`` of the tokens.
        num_layers (int): Number of transformer blocks ``L``.
        num_heads (int): Attention heads per block.
        patch_size (int): Side of a square patch, in pixels.
        num_prefix_tokens (int): Tokens before the patches (CLS, registers).
        out_dims (int): Width after :meth:`project`.
        has_pre_norm (bool): Whether a norm precedes the first block (CLIP).
        has_projection (bool): Whether :meth:`project` maps the CLS token.
        mean, std (tuple[float]): RGB normalisation in units of 0..255 that
            the weights were trained with.
        other_activation (str): Activation of the blocks, such as
            ``'QuickGELU'``, where it is not that of the model's name; empty
            elsewhere. Weights do not tell it, so :meth:`describe` does.
    """

    embed_dims: int
    num_layers: int
    num_heads: int
    patch_size: int
    num_prefix_tokens: int
    out_dims: int
    has_pre_norm: bool = False
    has_projection: bool = False
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD
    other_activation: str = ''

    def __init__(self, frozen: bool = True) -> None:
        super().__init__()
        self.frozen = frozen
        self._positions: dict[tuple, Tensor] = {}

    def freeze(self) -> None:
        """Switch off gradients and training mode; call after the weights."""
        if self.frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> 'BlackBox':
        """Follow ``mode`` only when the Black Box is not frozen."""
        return super().train(mode and not self.frozen)

    # -- the steps of a forward pass -------------------------------------
    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The transformer blocks, each mapping (B, T, C) to (B, T, C)."""
        raise NotImplementedError

    def patchify(self, img: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Patch embedding without positions.

        Args:
            img (Tensor): Images (B, 3, H, W); H and W are multiples of
                ``patch_size``.

        Returns:
            tuple: Patches (B, h * w, C) and the grid (h, w).
        """
        raise NotImplementedError

    def embed(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """Add prefix tokens and positions: (B, P + h * w, C).

        Position embeddings are resampled to ``grid``. CLIP's pre-norm is not
        applied here, so that prompts may enter before or after it.
        """
        raise NotImplementedError

    def pre_norm(self, tokens: Tensor) -> Tensor:
        """The norm before the first block; identity where there is none."""
        return tokens

    def norm(self, tokens: Tensor) -> Tensor:
        """The norm after the last block, on (B, T, C)."""
        raise NotImplementedError

    def project(self, cls_token: Tensor) -> Tensor:
        """Map the normed CLS token (B, C) to (B, out_dims)."""
        return cls_token

    def projection_weights(self) -> list[nn.Parameter]:
        """The weights that :meth:`project` alone uses."""
        return []

    def forward(self, img: Tensor) -> Tensor:
        """Tokens (B, P + N, C) after the last norm, without prompts."""
        tokens = self.pre_norm(self.embed(*self.patchify(img)))
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    # -- positions -------------------------------------------------------
    @property
    def position_table(self) -> Tensor:
        """The position embeddings as they were trained."""
        raise NotImplementedError

    def resample_positions(self, grid: tuple[int, int]) -> Tensor:
        """Position embeddings (1, ..., C) for the patch grid (h, w)."""
        raise NotImplementedError

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """:meth:`resample_positions`, once per grid while they are frozen."""
        table = self.position_table
        if table.requires_grad or table.is_inference():
            return self.resample_positions(grid)
        # loading weights, moving and casting must all be noticed
        state = (table._version, table.data_ptr(), table.device, table.dtype)
        key = (grid, *state)
        if key not in self._positions:
            if len(self._positions) >= _MAX_GRIDS:
                self._positions.clear()
            # a tensor made in inference mode could not be trained with
            with torch.inference_mode(False), torch.no_grad():
                self._positions[key] = self.resample_positions(grid)
        return self._positions[key]

    def check_img_size(self, img_size: int | tuple[int, int]) -> None:
        """Raise ``ValueError`` unless ``img_size`` fits the patch size."""
        sides = img_size if isinstance(img_size, Sequence) else (img_size,)
        if any(side % self.patch_size or side < 1 for side in sides):
            raise ValueError(
                f'img_size must be a multiple of the patch size '
                f'{self.patch_size}, got {img_size}.'
            )

    def check_size(self, img: Tensor) -> None:
        """Raise ``ValueError`` unless H and W are multiples of the patch."""
        height, width = img.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f'image height and width must be multiples of the patch size '
                f'{self.patch_size}, got {height} x {width}; resize or crop '
                f'in the pipeline.'
            )

    # -- identity --------------------------------------------------------
    @property
    def num_frozen(self) -> int:
        """Number of weights that are not trained."""
        return sum(p.numel() for p in self.parameters() if not p.requires_grad)

    def fingerprint(self) -> str:
        """SHA-256 over names, shapes, types and bytes of all weights.

        Checkpoints carry it, so that a White Box is never loaded beside
        another ViT. Takes a third of a second for a ViT-B.
        """
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            value = value.detach().cpu().contiguous()
            digest.update(
                f'{name}|{tuple(value.shape)}|{value.dtype}'.encode()
            )
            digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def describe(self) -> str:
        """Name of the class and of its model, for messages and checkpoints.

        Two Black Boxes of one name and :meth:`fingerprint` compute the same.
        """
        return type(self).__name__

    def _describe(self, name: str) -> str:
        """:meth:`describe` with the name of the model."""
        parts = [name, *filter(None, [self.other_activation])]
        return f'{type(self).__name__}({", ".join(parts)})'


def activations(blocks: Iterable[nn.Module], path: str) -> str:
    """Names of the activations of transformer blocks, each once.

    Args:
        blocks (Iterable[nn.Module]): The blocks.
        path (str): Where a block keeps its activation, such as ``mlp.act``.

    Returns:
        str: For example ``'GELU'``; empty where nothing is found.
    """
    names = []
    for block in blocks:
        try:
            module = attrgetter(path)(block)
        except AttributeError:  # an MLP of another kind
            continue
        kind = getattr(module, 'approximate', 'none')
        suffix = '' if kind == 'none' else f'-{kind}'
        names.append(f'{type(module).__name__}{suffix}')
    return '/'.join(dict.fromkeys(names))
