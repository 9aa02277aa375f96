"""Start prompts where the ViT's own tokens are."""

from collections.abc import Sequence

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from lore_mm.engine.bare_model import bare_model
from lore_mm.engine.feature_extraction import (
    extract_train_features,
    was_loaded,
)
from lore_mm.models.black_boxes import BlackBox
from lore_mm.registry import HOOKS


@HOOKS.register_module()
class PromptStartHook(Hook):
    """Start the prompts of each layer at the mean patch token before it.

    Prompts drawn at random are unlike any token that the frozen blocks know:
    they change its features for the worse before a step is trained, and what
    starts at the features, such as a head fitted to them, starts low. Here
    the mean patch token before each block of the bare Black Box is measured
    over training images and added to the prompts:

    - to the prompts of :class:`PromptedViT` and the global prompts of a
      White Box, which keep their random differences;
    - to all local prompts of a layer, by
      :meth:`PromptGenerator.start_from`, as what the last map adds to.

    With prompts that pass CLIP's pre-norm, the tokens of the first layer are
    those before it. Does nothing for a model without prompts, after a resume,
    and where ``load_from`` brought trained prompts.

    Args:
        gain (float): Size of what the White Box adds to the start of its
            local prompts, relative to :class:`PromptGenerator`'s own.
            Defaults to 0.1.
        num_images (int): Training images to measure at most. Defaults to 256.
        pipeline (list[dict], optional): Pipeline without randomness. Defaults
            to None: that of the validation set.
        batch_size (int, optional): Defaults to that of training.

    Raises:
        ValueError: ``gain`` is negative or ``num_images`` below 1.
    """

    # Before the hooks that look at the initial model: statistics of norms
    # (HIGH) and the head's fit.
    priority = 20

    def __init__(
        self,
        gain: float = 0.1,
        num_images: int = 256,
        pipeline: Sequence[dict] | None = None,
        batch_size: int | None = None,
    ) -> None:
        if gain < 0:
            raise ValueError(f'gain must be 0 or more, got {gain}.')
        if num_images < 1:
            raise ValueError(
                f'num_images must be at least 1, got {num_images}.'
            )
        self.gain = gain
        self.num_images = num_images
        self.pipeline = pipeline
        self.batch_size = batch_size

    def before_train(self, runner: Runner) -> None:
        """Measure and write; the same on all processes."""
        backbone = getattr(bare_model(runner), 'backbone', None)
        if runner.iter > 0 or not _has_prompts(backbone):
            return
        if was_loaded(runner, 'backbone'):
            print_log(
                'Prompt start skipped: the prompts were loaded from a '
                'checkpoint.',
                logger='current',
            )
            return
        means = self.measure(runner, backbone)
        start_prompts(backbone, means, self.gain)
        print_log(
            f'Prompt start: prompts start at the mean patch tokens, of '
            f'length {float(means.norm(dim=-1).mean()):.2f} on average.',
            logger='current',
        )

    def measure(self, runner: Runner, backbone: nn.Module) -> Tensor:
        """Mean patch token before each block, (L, C)."""
        owner = _white_box(backbone) or backbone
        black_box = backbone.black_box
        data = extract_train_features(
            runner,
            lambda img: patch_means(
                black_box, img, owner.before_pre_norm
            ).flatten(1),
            self.pipeline,
            self.batch_size,
            self.num_images,
        )
        mean = data.features.double().mean(0)
        return mean.view(-1, black_box.embed_dims)


def patch_means(
    black_box: BlackBox, img: Tensor, before_pre_norm: bool = True
) -> Tensor:
    """Mean over the patch tokens before each block.

    Args:
        black_box (BlackBox): The ViT, without prompts.
        img (Tensor): (B, 3, H, W).
        before_pre_norm (bool): Take those of the first block before the
            ViT's pre-norm. Defaults to True.

    Returns:
        Tensor: float32 (B, L, C).
    """
    first = black_box.embed(*black_box.patchify(img))
    tokens = black_box.pre_norm(first)
    seen = [first if before_pre_norm else tokens]
    for block in black_box.blocks[:-1]:
        tokens = block(tokens)
        seen.append(tokens)
    num_prefix = black_box.num_prefix_tokens
    means = [each[:, num_prefix:].float().mean(1) for each in seen]
    return torch.stack(means, dim=1)


@torch.no_grad()
def start_prompts(backbone: nn.Module, means: Tensor, gain: float) -> None:
    """Start the prompts of a backbone at ``means``.

    Args:
        backbone (nn.Module): A :class:`LOREViT` or :class:`PromptedViT`.
        means (Tensor): One token for each block, (L, C).
        gain (float): See :class:`PromptStartHook`.
    """
    white_box = _white_box(backbone)
    if white_box is None:
        shared, first = backbone.prompts, 0
    else:
        shared, first = white_box.global_prompts, white_box.global_layer
    if shared is not None:
        base = means[first : first + len(shared)]  # (L or 1, C)
        shared.add_(base[:, None].to(shared))
    if white_box is not None and white_box.num_local_prompts:
        first = white_box.write_layer
        base = means[first : first + white_box.num_prompt_layers]
        base = base.to(next(white_box.parameters()))
        white_box.prompt_generator.start_from(base, gain)


def _white_box(backbone: nn.Module) -> nn.Module | None:
    return getattr(backbone, 'white_box', None)


def _has_prompts(backbone: nn.Module | None) -> bool:
    white_box = _white_box(backbone)
    if white_box is not None:
        return white_box.num_prompts > 0
    return isinstance(getattr(backbone, 'prompts', None), nn.Parameter)
