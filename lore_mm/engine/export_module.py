"""A trained model as a plain function, for export."""

import copy
from collections.abc import Callable

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from lore_mm.models.backbones.base import PromptedBackbone
from lore_mm.models.heads.text_heads import TextHead
from lore_mm.models.necks import KnowledgeLocalityNeck
from lore_mm.models.white_box.norm import LinearNorm, TokenBatchNorm

OUTPUTS = ('logits', 'cls_token', 'featmap', 'raw')


class ExportError(ValueError):
    """A model cannot be exported, or the file does not compute the same."""


class ExportModule(nn.Module):
    """A model as a plain function of images, with its constants fixed.

    A copy: the model itself stays as it is. What the model keeps from one
    call to the next (resampled positions, folded norms, keys and values of
    global prompts, texts) is computed once and becomes a constant. What only
    training needs, such as the class embeddings, is left out.

    Args:
        model (BaseModel): A classifier in eval mode, as
            :func:`lore_mm.apis.init_model` gives it.
        output (str): One of ``OUTPUTS``: logits (B, K), or what the
            backbone's ``out_type`` of that name is.
        img_size (tuple[int, int]): Height and width of the images.

    Raises:
        ExportError: There is no head for logits, or the features are not
            those of a backbone of this package.
    """

    def __init__(
        self, model: BaseModel, output: str, img_size: tuple[int, int]
    ) -> None:
        super().__init__()
        model = with_output(model, output).requires_grad_(False)
        self.backbone = model.backbone
        self.neck, self.head = model.neck, model.head
        if isinstance(self.neck, KnowledgeLocalityNeck):
            self.neck = None  # for training
        preprocessor = model.data_preprocessor
        for name, default in (('mean', 0.0), ('std', 1.0)):
            value = getattr(preprocessor, name, torch.tensor([default]))
            self.register_buffer(name, value.view(-1, 1, 1))
        with torch.no_grad():
            fold_norms(self)
            self(torch.zeros(1, 3, *img_size))  # fills what is kept
            _fix_constants(self)

    def forward(self, images: Tensor) -> Tensor:
        """The output for RGB images (B, 3, H, W) with values 0..255."""
        features = self.backbone((images - self.mean) / self.std)
        if self.neck is not None:
            features = self.neck(features)
        return features[-1] if self.head is None else self.head(features)


def with_output(model: BaseModel, output: str) -> BaseModel:
    """A copy of a model on the CPU that gives ``output``.

    Raises:
        ExportError: See :class:`ExportModule`.
    """
    if output not in OUTPUTS:
        raise ExportError(f'output must be one of {OUTPUTS}, got {output!r}.')
    model = copy.deepcopy(model).cpu().float().eval()
    if output == 'logits':
        if getattr(model, 'head', None) is None:
            raise ExportError(
                'the model has no head that gives logits; choose an output '
                f'of {OUTPUTS[1:]}.'
            )
        return model
    if not isinstance(model.backbone, PromptedBackbone):
        raise ExportError(
            f'output {output!r} needs a backbone of this package, got '
            f'{type(model.backbone).__name__}; choose logits.'
        )
    model.backbone.out_type = output
    model.neck = model.head = None
    return model


def torch_runner(model: BaseModel, output: str) -> Callable[[Tensor], Tensor]:
    """The model itself, as a function of images with values 0..255."""
    model = with_output(model, output)

    @torch.inference_mode()
    def run(images: Tensor) -> Tensor:
        inputs = model.data_preprocessor(dict(inputs=images))['inputs']
        found = model(inputs, mode='tensor')
        return found[-1] if isinstance(found, tuple) else found

    return run


def fold_norms(module: nn.Module) -> None:
    """Fold the batch norms of all :class:`LinearNorm`, in place."""
    for part in module.modules():
        if isinstance(part, LinearNorm) and isinstance(
            part.norm, TokenBatchNorm
        ):
            weight, bias = part.folded()
            part.weight = nn.Parameter(weight, requires_grad=False)
            part.bias = nn.Parameter(bias, requires_grad=False)
            part.norm = nn.Identity()


def _fix_constants(module: ExportModule) -> None:
    """Have what was kept in a first call given out as constants.

    The caches tell by the address of a tensor whether it is new, which does
    not exist while a graph is recorded.
    """
    backbone, head = module.backbone, module.head
    if isinstance(backbone, PromptedBackbone):
        pairs = {
            index: tuple(each.contiguous().clone() for each in kept[1])
            for index, kept in backbone._constants.items()
        }
        backbone._shared_kv = lambda index, *_: pairs[index]
        # One size of image: one table, unless the weights are trained.
        tables = list(backbone.black_box._positions.values())
        if tables:
            backbone.black_box.positions = lambda grid: tables[-1]
    if isinstance(head, TextHead):
        texts = head.text_features().clone()
        head.text_features = lambda: texts
