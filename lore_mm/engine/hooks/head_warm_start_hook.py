"""Start the head from a linear probe of the initial model."""

from collections.abc import Sequence

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lore_mm.engine.bare_model import bare_model
from lore_mm.engine.feature_extraction import (
    TrainSetFeatures,
    extract_train_features,
    was_loaded,
)
from lore_mm.registry import HOOKS


@HOOKS.register_module()
class HeadWarmStartHook(Hook):
    """Fit the head's linear layer to the initial model's features.

    Before training, a multinomial logistic regression is fitted to what the
    layer sees of the training set (without augmentation, model in eval mode),
    and its weight and bias are written into the layer. So training starts at
    the linear probe. Skipped after a resume.

    Args:
        inverse_strength (float): ``C`` of the L2 penalty, as in scikit-learn,
            for features scaled to a mean length of 1; so its meaning does not
            depend on the head's scale. Defaults to 100.
        layer (str): Name of the linear layer in the head. Defaults to
            ``'fc'``.
        after_load (bool): Also replace a layer that ``load_from`` has just
            loaded. Defaults to False.
        max_iter (int): Most iterations of L-BFGS. Defaults to 1000.
        pipeline (list[dict], optional): Pipeline without randomness. Defaults
            to None: that of the validation set.
        batch_size (int, optional): Defaults to that of training.
        num_images (int): Images to fit to at most, a fixed random choice, as
            all features are kept in memory. Defaults to 20000.

    Raises:
        ValueError: An argument is out of range, or the head has no such
            linear layer or does not call it.
    """

    def __init__(
        self,
        inverse_strength: float = 100.0,
        layer: str = 'fc',
        after_load: bool = False,
        max_iter: int = 1000,
        pipeline: Sequence[dict] | None = None,
        batch_size: int | None = None,
        num_images: int = 20_000,
    ) -> None:
        if inverse_strength <= 0:
            raise ValueError(
                f'inverse_strength must be positive, got {inverse_strength}.'
            )
        if max_iter < 1:
            raise ValueError(f'max_iter must be at least 1, got {max_iter}.')
        if num_images < 1:
            raise ValueError(
                f'num_images must be at least 1, got {num_images}.'
            )
        self.num_images = num_images
        self.inverse_strength = inverse_strength
        self.layer = layer
        self.after_load = after_load
        self.max_iter = max_iter
        self.pipeline = pipeline
        self.batch_size = batch_size

    def before_train(self, runner: Runner) -> None:
        """Fit and write the layer."""
        # `--resume` without any checkpoint starts anew and is warm-started.
        if runner.iter > 0:
            return
        if was_loaded(runner, 'head') and not self.after_load:
            print_log(
                'Head warm start skipped: the head was loaded from a '
                'checkpoint; after_load=True replaces it.',
                logger='current',
            )
            return
        model = bare_model(runner)
        layer = self._find(model)
        data = extract_train_features(
            runner,
            lambda img: layer_input(model, layer, img),
            self.pipeline,
            self.batch_size,
            self.num_images,
        )
        self._fill(layer, data)

    def _fill(self, layer: nn.Linear, data: TrainSetFeatures) -> None:
        """Fit, and write the values of rank 0 on all ranks.

        Every rank fits, as it has the same features: with many classes that
        may take longer than a rank may wait for another.
        """
        features, labels = data.features, data.labels
        if layer.weight.is_cuda:
            features, labels = (x.to(layer.weight.device) for x in data[:2])
        fitted = fit_logistic_regression(
            features,
            labels,
            layer.out_features,
            self.inverse_strength,
            fit_bias=layer.bias is not None,
            max_iter=self.max_iter,
        )
        logits = features.double() @ fitted[0].T + fitted[1]
        right = (logits.argmax(-1) == labels).double().mean()
        print_log(
            f'Head warm start: logistic regression on {len(labels)} images, '
            f'{100 * float(right):.2f} % of them right.',
            logger='current',
        )
        weight, bias = (part.to(layer.weight) for part in fitted)
        broadcast(weight)
        broadcast(bias)
        with torch.no_grad():
            layer.weight.copy_(weight)
            if layer.bias is not None:
                layer.bias.copy_(bias)

    def _find(self, model: nn.Module) -> nn.Linear:
        head = getattr(model, 'head', None)
        layer = getattr(head, self.layer, None)
        if not isinstance(layer, nn.Linear):
            raise ValueError(
                f'head warm start needs a linear layer {self.layer!r} in the '
                f'head, {type(head).__name__} has {type(layer).__name__}.'
            )
        return layer


def layer_input(model: nn.Module, layer: nn.Linear, img: Tensor) -> Tensor:
    """What ``layer`` receives when ``model`` sees ``img``: (B, D).

    Taken from the layer itself, so that any scaling or normalisation of the
    head is in it.
    """
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    try:
        model(img, mode='tensor')
    finally:
        handle.remove()
    if len(seen) != 1 or seen[0].ndim != 2:
        raise ValueError(
            'head warm start needs a head that calls its linear layer once '
            f'with (B, D), got shapes {[tuple(x.shape) for x in seen]}.'
        )
    return seen[0]


def fit_logistic_regression(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    inverse_strength: float = 100.0,
    fit_bias: bool = True,
    max_iter: int = 1000,
) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression by L-BFGS, deterministic.

    Minimises ``|W|^2 / 2 + C * (sum of cross entropies)`` on features divided
    by their mean length; the bias is not penalised. The weights returned are
    for the features as given.

    Args:
        features (Tensor): (n, D).
        labels (Tensor): int64 (n,).
        num_classes (int): K.
        inverse_strength (float): ``C``.
        fit_bias (bool): Defaults to True.
        max_iter (int): Most iterations. Defaults to 1000.

    Returns:
        tuple[Tensor, Tensor]: Weight (K, D) and bias (K,), float64.
    """
    features = features.double()
    length = features.norm(dim=-1).mean().clamp_min(1e-12)
    features = features / length
    weight = features.new_zeros(num_classes, features.shape[1])
    bias = features.new_zeros(num_classes)
    weight.requires_grad_()
    bias.requires_grad_(fit_bias)
    solver = torch.optim.LBFGS(
        [weight, bias] if fit_bias else [weight],
        max_iter=max_iter,
        max_eval=2 * max_iter,
        tolerance_grad=1e-7,
        tolerance_change=1e-12,
        line_search_fn='strong_wolfe',
    )
    penalty = 0.5 / (inverse_strength * len(labels))

    def closure() -> Tensor:
        solver.zero_grad()
        loss = cross_entropy(features @ weight.T + bias, labels)
        loss = loss + penalty * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(closure)
    return weight.detach() / length, bias.detach()
