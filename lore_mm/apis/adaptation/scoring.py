"""Predictions on the test images, and the bare ViT's beside them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.evaluation.metrics import (
    Accuracy,
    ConfusionMatrix,
    SingleLabelMetric,
)
from torch import Tensor
from torch.nn.functional import normalize

from lore_mm.engine.files import replace_when_done
from lore_mm.engine.hooks.head_warm_start_hook import fit_logistic_regression
from lore_mm.models.backbones import LOREViT


@dataclass(frozen=True)
class Predictions:
    """What a model says about images.

    Attributes:
        paths (list[str]): The images.
        labels (Tensor): True labels (n,).
        scores (Tensor): Probabilities (n, K).
    """

    paths: list[str]
    labels: Tensor
    scores: Tensor

    @property
    def predicted(self) -> Tensor:
        """Labels (n,) with the largest score."""
        return self.scores.argmax(-1)

    def accuracy(self) -> float:
        """Top-1 accuracy in per cent."""
        return float(Accuracy.calculate(self.scores, self.labels)[0][0])

    def confusion(self) -> Tensor:
        """Counts (K, K): rows are true classes, columns predictions."""
        return ConfusionMatrix.calculate(
            self.predicted, self.labels, self.scores.shape[1]
        )

    def worst(self, limit: int) -> list[int]:
        """Positions of the mistakes that the model is most sure of.

        Those first whose class got the least. Where there are fewer mistakes
        than ``limit`` there are fewer positions.
        """
        wrong = self.predicted != self.labels
        return [i for i in self._order() if wrong[i]][:limit]

    def closest(self, limit: int) -> list[int]:
        """Positions of the images whose class got the least, right or not."""
        return self._order()[:limit]

    def _order(self) -> list[int]:
        true = self.scores.gather(1, self.labels[:, None])[:, 0]
        return true.argsort(stable=True).tolist()


def score(cfg: Config, model: BaseModel) -> Predictions:
    """Predict the test images of a config."""
    paths, labels, scores = [], [], []
    with torch.inference_mode():
        for batch in _loader(cfg, 'test'):
            for sample in model.test_step(batch):
                paths.append(sample.img_path)
                labels.append(int(sample.gt_label))
                scores.append(sample.pred_score.float().cpu())
    return Predictions(paths, torch.tensor(labels), torch.stack(scores))


def linear_probe(cfg: Config, model: BaseModel) -> Predictions:
    """The bare Black Box with a classifier fitted to its CLS token.

    A logistic regression on the training images, as the head of LORE starts
    from; predicts the test images.
    """
    bare = LOREViT(model.backbone.black_box, out_type='cls_token')
    _, train_labels, train = _features(cfg, 'train', model, bare)
    paths, labels, test = _features(cfg, 'test', model, bare)
    weight, bias = fit_logistic_regression(
        train, train_labels, model.head.num_classes
    )
    scores = (test.double() @ weight.T + bias).softmax(-1).float()
    return Predictions(paths, labels, scores)


def _features(
    cfg: Config, part: str, model: BaseModel, bare: LOREViT
) -> tuple[list[str], Tensor, Tensor]:
    """Paths, labels (n,) and unit CLS tokens (n, D) of a part."""
    bare.eval()
    paths, labels, rows = [], [], []
    with torch.inference_mode():
        for batch in _loader(cfg, part):
            batch = model.data_preprocessor(batch, False)
            features = bare(batch['inputs'])[-1]
            rows.append(normalize(features.float(), dim=-1).cpu())
            for sample in batch['data_samples']:
                paths.append(sample.img_path)
                labels.append(int(sample.gt_label))
    # Clones are no inference tensors: the fit needs a graph.
    return paths, torch.tensor(labels), torch.cat(rows).clone()


def _loader(cfg: Config, part: str) -> torch.utils.data.DataLoader:
    """Loader of a part without augmentation, in order."""
    loader = cfg.test_dataloader.copy()
    loader.dataset = dict(loader.dataset, split=part)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return Runner.build_dataloader(loader)


def interval(accuracy: float, number: int) -> tuple[float, float]:
    """95 % interval of an accuracy in per cent (Wilson, 1927).

    Args:
        accuracy (float): In per cent.
        number (int): Images it was measured on.
    """
    z = NormalDist().inv_cdf(0.975)
    share, spread = accuracy / 100, z * z / number
    centre = (share + spread / 2) / (1 + spread)
    half = (share * (1 - share) * spread + spread * spread / 4) ** 0.5
    half /= 1 + spread
    return 100 * (centre - half), 100 * (centre + half)


def make_metrics(
    lore: Predictions, probe: Predictions, classes: Sequence[str]
) -> dict:
    """What metrics.json holds: numbers in per cent, per class by name."""
    low, high = interval(lore.accuracy(), len(lore.labels))
    names = ('precision', 'recall', 'f1-score')
    values = SingleLabelMetric.calculate(
        lore.scores, lore.labels, thrs=(None,), average=None
    )[0]
    per_class = {
        f'single-label/{name}_classwise': dict(
            zip(classes, row.tolist(), strict=True)
        )
        for name, row in zip(names, values[:3], strict=True)
    }
    return {
        'accuracy/top1': lore.accuracy(),
        'accuracy/top1_95%': [low, high],
        'linear_probe/accuracy/top1': probe.accuracy(),
        'test_images': len(lore.labels),
        **per_class,
    }


def write_predictions(
    path: Path, lore: Predictions, root: str, classes: Sequence[str]
) -> None:
    """Write one line per test image: path, truth, prediction, score."""
    rows = [['image', 'class', 'predicted', 'score']]
    rows += [
        [
            Path(image).relative_to(root).as_posix(),
            classes[label],
            classes[guess],
            f'{value:.4f}',
        ]
        for image, label, guess, value in zip(
            lore.paths,
            lore.labels.tolist(),
            lore.predicted.tolist(),
            lore.scores.max(-1).values.tolist(),
            strict=True,
        )
    ]
    _write_csv(path, rows)


def write_confusion(
    path: Path, confusion: np.ndarray, classes: Sequence[str]
) -> None:
    """Write counts as CSV: a row per true class."""
    rows = zip(classes, confusion.tolist(), strict=True)
    _write_csv(path, [['class', *classes], *([n, *row] for n, row in rows)])


def _write_csv(path: Path, rows: Sequence[Sequence]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    with replace_when_done(path) as temp:
        temp.write_text(text.getvalue(), 'utf-8')
