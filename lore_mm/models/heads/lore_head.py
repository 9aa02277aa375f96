"""The classification head of LORE."""

import torch
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from lore_mm.registry import MODELS

from ..backbones import LOREFeatures

NEGATIVE_SOURCES = ('black_box', 'current')


@MODELS.register_module()
class LOREHead(ClsHead):
    """Linear classifier on the scaled, normalised CLS token, with L_kp.

    ``logits = W (scale * cls / ||cls||) + b``; the loss is the task loss plus
    :class:`PrototypeConstraintLoss` wherever the features carry prototypes.

    With ``local_channels`` the head also reads the White Box's pooled tokens
    Ê, normalised likewise and beside the CLS token (beyond the paper): what a
    few pixels tell need not pass through the ViT's last blocks.

    Args:
        num_classes (int): K.
        in_channels (int): Width of the CLS token after projection.
        scale (float): Factor on the normalised token. Defaults to 100,
            CLIP's logit scale, as in the released code.
        local_channels (int): Width of the pooled Ê to read, as
            :attr:`lore_mm.models.WhiteBox.pooled_dims`. Defaults to 0: the
            CLS token alone, as in the paper.
        negative_source (str): Where the predicted label p of Eq. (10) comes
            from: ``black_box``, the Black Box's own prediction, put into the
            samples by :class:`lore_mm.engine.hooks.NegativeLabelHook` before
            training, or ``current``, the model's prediction in this step.
        loss (dict): Task loss, built by mmpretrain. Defaults to
            cross-entropy.
        constraint (dict | None): The constraint; None leaves it out.
        **kwargs: ``topk``, ``cal_acc``, ``init_cfg`` of mmpretrain's
            ``ClsHead``.

    Raises:
        ValueError: ``num_classes`` below 1, ``local_channels`` negative or
            ``negative_source`` unknown.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        scale: float = 100.0,
        local_channels: int = 0,
        negative_source: str = 'black_box',
        loss: dict | None = None,
        constraint: dict | None = None,
        **kwargs,
    ) -> None:
        kwargs.setdefault(
            'init_cfg', dict(type='Normal', layer='Linear', std=0.01)
        )
        super().__init__(
            loss=loss or dict(type='mmpretrain.CrossEntropyLoss'), **kwargs
        )
        if num_classes < 1:
            raise ValueError(
                f'num_classes must be at least 1, got {num_classes}.'
            )
        if local_channels < 0:
            raise ValueError(
                f'local_channels must be 0 or more, got {local_channels}.'
            )
        if negative_source not in NEGATIVE_SOURCES:
            raise ValueError(
                f'negative_source must be one of {NEGATIVE_SOURCES}, got '
                f'{negative_source!r}.'
            )
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.scale = scale
        self.local_channels = local_channels
        self.negative_source = negative_source
        self.constraint = None
        if constraint is not None:
            self.constraint = MODELS.build(constraint)
        self.fc = nn.Linear(in_channels + local_channels, num_classes)

    def pre_logits(self, feats: LOREFeatures | tuple[Tensor, ...]) -> Tensor:
        """What the linear layer reads, of length ``scale``.

        Returns:
            Tensor: (B, in_channels + local_channels).

        Raises:
            ValueError: ``in_channels`` is not the width of the CLS token, or
                ``local_channels`` not that of the pooled Ê.
        """
        whole = isinstance(feats, LOREFeatures)
        cls_token = feats.cls_token if whole else feats[-1]
        width = cls_token.shape[-1]
        if width != self.in_channels:
            raise ValueError(
                f"the head's in_channels is {self.in_channels}, but the Black "
                f'Box gives {width} channels: set in_channels={width}.'
            )
        parts = [cls_token]
        if self.local_channels:
            pooled = feats.pooled if whole else None
            width = 0 if pooled is None else pooled.shape[-1]
            if width != self.local_channels:
                raise ValueError(
                    f'local_channels is {self.local_channels}, but the '
                    f'pooled tokens have {width} channels; the White Box '
                    "decides by its pool, and the backbone's out_type must "
                    "be 'lore'. 0 reads the CLS token alone."
                )
            parts.append(pooled)
        dtype = self.fc.weight.dtype
        parts = [F.normalize(part.to(dtype), dim=-1) for part in parts]
        return self.scale / len(parts) ** 0.5 * torch.cat(parts, dim=-1)

    def forward(self, feats: LOREFeatures | tuple[Tensor, ...]) -> Tensor:
        """Logits (B, K), in the precision of the weights also under autocast.

        Half of it would round logits of ``scale`` to a sixteenth.
        """
        with torch.autocast(self.fc.weight.device.type, enabled=False):
            return self.fc(self.pre_logits(feats))

    def loss(
        self,
        feats: LOREFeatures | tuple[Tensor, ...],
        data_samples: list[DataSample],
        **kwargs,
    ) -> dict[str, Tensor]:
        """``loss_cls``, and ``loss_kp`` where there are prototypes.

        Labels may be mixed, by ``train_cfg=dict(augments=...)`` of
        mmpretrain's ``ImageClassifier``.

        Raises:
            ValueError: There is a constraint and the features are no
                :class:`LOREFeatures` or carry no prototypes, or
                ``negative_source='black_box'`` and a sample has no
                ``negative_label``.
        """
        logits = self(feats)
        losses = self._get_loss(logits, data_samples, **kwargs)
        losses['loss_cls'] = losses.pop('loss')
        if self.constraint is None:
            return losses
        if not isinstance(feats, LOREFeatures):
            raise ValueError(
                'the constraint needs the latent of a White Box, got '
                f"{type(feats).__name__}; set out_type='lore' in the backbone "
                'or constraint=None in the head.'
            )
        if feats.latent is None:
            return losses  # the bare Black Box has nothing to constrain
        if feats.prototypes is None:
            raise ValueError(
                'the constraint needs prototypes; add '
                "neck=dict(type='lore_mm.KnowledgeLocalityNeck', ...), or set "
                'constraint=None in the head.'
            )
        losses['loss_kp'] = self.constraint(
            feats.latent,
            feats.prototypes,
            _target(data_samples).to(logits.device),
            self._predicted(logits, data_samples),
        )
        return losses

    def _predicted(
        self, logits: Tensor, data_samples: list[DataSample]
    ) -> Tensor:
        """Labels p (B,) of Eq. (10)."""
        if self.negative_source == 'current':
            return logits.detach().argmax(-1)
        labels = [sample.get('negative_label') for sample in data_samples]
        if any(label is None for label in labels):
            raise ValueError(
                "negative_source='black_box' needs a negative_label in each "
                "sample; add dict(type='lore_mm.NegativeLabelHook') to "
                "custom_hooks, or set negative_source='current'."
            )
        # The hook gives tensors; torch.as_tensor is for a user's own ints.
        labels = [torch.as_tensor(label).reshape(()) for label in labels]
        return torch.stack(labels).to(logits.device)


def _target(data_samples: list[DataSample]) -> Tensor:
    """Labels (B,), or the classes' shares (B, K) in mixed images."""
    if 'gt_score' in data_samples[0]:
        return torch.stack([sample.gt_score for sample in data_samples])
    return torch.cat([sample.gt_label for sample in data_samples])
