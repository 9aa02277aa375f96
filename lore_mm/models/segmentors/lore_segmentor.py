"""mmseg's EncoderDecoder with the constraint of LORE."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from lore_mm.registry import MODELS

from ..white_box import WhiteBoxOutput


@MODELS.register_module()
class LORESegmentor(EncoderDecoder):
    """An ``EncoderDecoder`` whose White Box is held to class prototypes.

    Without a constraint, or without a White Box, it is mmseg's
    ``EncoderDecoder`` with the same backbone and head, which does as well.

    Args:
        constraint (dict, optional): ``dict(type='lore_mm.MaskPrototypeLoss')``
            . Defaults to None: none.
        neck (dict, optional): The :class:`KnowledgeLocalityNeck` that makes
            the prototypes; features do not pass through it. Needed with a
            constraint. Defaults to None.
        **kwargs: As in mmseg's ``EncoderDecoder``: ``backbone``, a
            :class:`LOREViT` with ``out_type='featmap'``, ``decode_head`` and
            so on.

    Raises:
        ValueError: There is a constraint, but no neck, or the decode head has
            a loss of its own in which its logits are not seen.
    """

    def __init__(
        self,
        constraint: dict | None = None,
        neck: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(neck=neck, **kwargs)
        self.constraint: nn.Module | None = None
        if constraint is None:
            return
        if not hasattr(getattr(self, 'neck', None), 'prototypes'):
            raise ValueError(
                'the constraint needs prototypes; add '
                "neck=dict(type='lore_mm.KnowledgeLocalityNeck', ...), or set "
                'constraint=None.'
            )
        if type(self.decode_head).loss is not BaseDecodeHead.loss:
            raise ValueError(
                f'the constraint needs a decode head with the loss of '
                f"mmseg's BaseDecodeHead, got "
                f'{type(self.decode_head).__name__}; take another head or '
                f'set constraint=None.'
            )
        self.constraint = MODELS.build(constraint)

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of images (B, 3, H, W), for the decode head."""
        return self.backbone(inputs)

    def loss(
        self, inputs: Tensor, data_samples: list[SegDataSample]
    ) -> dict[str, Tensor]:
        """Losses of the heads, and ``loss_kp`` where there is a constraint.

        Args:
            inputs (Tensor): Images (B, 3, H, W).
            data_samples (list[SegDataSample]): With ``gt_sem_seg``.
        """
        white_box = getattr(self.backbone, 'white_box', None)
        if self.constraint is None or white_box is None:
            return super().loss(inputs, data_samples)
        with recorded(white_box) as seen:
            features = self.extract_feat(inputs)
        head = self.decode_head
        logits = head.forward(features)
        found = head.loss_by_feat(logits, data_samples)
        losses = {f'decode.{name}': value for name, value in found.items()}
        if self.with_auxiliary_head:
            losses.update(
                self._auxiliary_head_forward_train(features, data_samples)
            )
        target = head._stack_batch_gt(data_samples).squeeze(1)
        losses['loss_kp'] = self.constraint(
            seen[0].latent,
            self.neck.prototypes(seen[0].tokens),
            target,
            _labels(logits),
            head.ignore_index,
        )
        return losses


@contextmanager
def recorded(white_box: nn.Module) -> Iterator[list[WhiteBoxOutput]]:
    """Keep what a White Box writes, with Ê, while the block runs."""
    seen: list[WhiteBoxOutput] = []
    handles = [
        white_box.register_forward_pre_hook(
            lambda module, args, kwargs: (
                args,
                {**kwargs, 'with_tokens': True},
            ),
            with_kwargs=True,
        ),
        white_box.register_forward_hook(
            lambda module, args, output: seen.append(output)
        ),
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _labels(logits: Tensor) -> Tensor:
    """Predicted labels (B, h, w) of logits (B, K, h, w); K 1 is binary."""
    if logits.shape[1] == 1:
        return (logits.detach()[:, 0] > 0).long()
    return logits.detach().argmax(1)
