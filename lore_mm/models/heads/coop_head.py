"""CoOp: words of the class prompt are learnt."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lore_mm.registry import MODELS
from lore_mm.utils import SetupError

from ..knowledge import OpenCLIPTextEncoder
from .text_heads import TextHead

# A word of one token, in the place of each learnt one.
_PLACEHOLDER = 'X'


@MODELS.register_module()
class CoOpHead(TextHead):
    """Context optimisation (CoOp, Zhou et al., IJCV 2022).

    The text of a class is ``[V1] ... [VM] <name>.`` with learnt vectors in the
    place of the first M words, the same for all classes; CLIP's text tower is
    frozen. The tower is no part of the module: it is in no checkpoint.

    Args:
        num_classes (int): K.
        in_channels (int): Width of the projected CLS token.
        knowledge (dict): A ``lore_mm.OpenCLIPTextEncoder``.
        context_dims (int): Width of the tower's word embeddings.
        num_context (int): M. Defaults to 16.
        **kwargs: See :class:`TextHead`.

    Raises:
        ValueError: ``num_context`` below 1, or another kind of encoder.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        knowledge: dict,
        context_dims: int,
        num_context: int = 16,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, knowledge, **kwargs)
        if num_context < 1:
            raise ValueError(
                f'num_context must be at least 1, got {num_context}.'
            )
        self.context = nn.Parameter(
            torch.empty(num_context, context_dims).normal_(std=0.02)
        )
        # In a tuple, so that it is no child of this module.
        self._tower: tuple[nn.Module, Tensor] | None = None
        self._features: tuple[tuple, Tensor] | None = None

    def set_classes(self, class_names: Sequence[str]) -> None:
        """Load the text tower and tokenise the prompts.

        Raises:
            ValueError: Another number of names, an encoder that has no
                tower, or one of another width.
        """
        names = self.check_names(class_names)
        encoder = MODELS.build(self.knowledge)
        if not isinstance(encoder, OpenCLIPTextEncoder):
            raise ValueError(
                'CoOp needs knowledge=dict(type='
                "'lore_mm.OpenCLIPTextEncoder', ...): it trains the input of "
                f'the text tower; got {self.knowledge.get("type")!r}.'
            )
        tower, tokenizer = encoder.tower()
        width = _words(tower).embedding_dim
        if width != self.context.shape[1]:
            raise ValueError(
                f'context_dims is {self.context.shape[1]}, but the text tower '
                f'has words of {width}; set context_dims to that.'
            )
        context = ' '.join([_PLACEHOLDER] * len(self.context))
        texts = [f'{context} {name.replace("_", " ")}.' for name in names]
        self._tower = (tower.eval(), tokenizer(texts))
        self._features = None

    def train(self, mode: bool = True) -> 'CoOpHead':
        """Set the mode; drop the text features.

        Fused optimizers and mmengine's EMAHook change the context in a way
        that its version does not tell.
        """
        self._features = None
        return super().train(mode)

    def text_features(self) -> Tensor:
        """See :meth:`TextHead.text_features`.

        Raises:
            SetupError: The classes were never set.
        """
        device = self.context.device.type
        if torch.is_autocast_enabled(device) or (
            torch.is_grad_enabled() and self.context.requires_grad
        ):
            return self._encode()
        # At inference once: until the context changes.
        key = (self.context._version, self.context.data_ptr())
        if self._features is None or self._features[0] != key:
            self._features = (key, self._encode())
        return self._features[1]

    def _encode(self) -> Tensor:
        if self._tower is None:
            raise SetupError(
                'the classes are not set; add '
                "dict(type='lore_mm.TextHeadHook') to custom_hooks."
            )
        device = self.context.device
        tower, tokens = (each.to(device) for each in self._tower)
        self._tower = (tower, tokens)
        handle = _words(tower).register_forward_hook(self._put_context)
        try:
            features = tower.encode_text(tokens)
        finally:
            handle.remove()
        return F.normalize(features.float(), dim=-1)

    def _put_context(self, module: nn.Module, args: tuple, out: Tensor):
        """Learnt vectors for the words after the start token."""
        end = 1 + len(self.context)
        context = self.context.to(out.dtype).expand(len(out), -1, -1)
        return torch.cat([out[:, :1], context, out[:, end:]], dim=1)


def _words(tower: nn.Module) -> nn.Embedding:
    """The word embedding of an open_clip model."""
    return getattr(tower, 'text', tower).token_embedding
