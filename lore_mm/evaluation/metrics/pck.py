"""PCK for mmengine's evaluator."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from lore_mm.evaluation.functional.pck import (
    AVERAGES,
    average_pck,
    category_pck,
    identity_points,
    oracle_points,
    pck,
)
from lore_mm.registry import METRICS

_MATCH, _MUTUAL = 'match', 'mutual'


@METRICS.register_module()
class PCK(BaseMetric):
    """PCK of transferred key points, with the rows that put it in place.

    A point is correct within ``alpha`` times the longer side of the target's
    box, in pixels of the original target. Keys are ``PCK@<alpha>/<average>``,
    in per cent, with the averages ``image`` (mean over pairs), ``point`` (all
    pooled) and ``category`` (mean over categories of ``point``). The same
    keys come with the prefixes

    - ``identity/``: the source's relative position, kept;
    - ``oracle/``: the nearest centre of a patch, the most that one answer per
      patch can give;
    - ``mutual/``: the matches that are mutual alone, if the matcher searches
      back; ``mutual/share`` is how many are.

    The table of categories is logged.

    Args:
        alphas (Sequence[float]): Thresholds. Defaults to (0.05, 0.1, 0.15).
        not_mutual (str): In the ``mutual`` rows, matches that are not mutual
            are left out (``'drop'``) or wrong (``'wrong'``). Defaults to
            ``'drop'``.
        category_alpha (float): Threshold of the table of categories. Defaults
            to 0.1.
        classwise (bool): Also give ``PCK@<alpha>/point/<category>`` of that
            table as metrics. Defaults to False.
        collect_device (str): As in mmengine. Defaults to ``'cpu'``.
        prefix (str, optional): As in mmengine. Defaults to None.

    Raises:
        ValueError: A threshold is not positive, or a choice is unknown.
    """

    # Keys carry no prefix; None would warn of that.
    default_prefix = ''

    def __init__(
        self,
        alphas: Sequence[float] = (0.05, 0.1, 0.15),
        not_mutual: str = 'drop',
        category_alpha: float = 0.1,
        classwise: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        if not alphas or min(*alphas, category_alpha) <= 0:
            raise ValueError(
                f'alphas must be positive numbers, got {alphas} and '
                f'category_alpha={category_alpha}.'
            )
        if not_mutual not in ('drop', 'wrong'):
            raise ValueError(
                f"not_mutual must be 'drop' or 'wrong', got {not_mutual!r}."
            )
        self.alphas = tuple(alphas)
        self.not_mutual = not_mutual
        self.category_alpha = category_alpha
        self.classwise = classwise

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Score pairs; one result each.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): From
                :class:`~lore_mm.models.KeypointMatcher`.
        """
        for sample in data_samples:
            truth, box = sample['target_points'], sample['target_box']
            points = {
                _MATCH: sample['pred_points'],
                'identity': identity_points(
                    sample['source_points'],
                    sample['source_size'],
                    sample['target_size'],
                ),
                'oracle': oracle_points(truth, sample['cell'], sample['grid']),
            }
            alphas = {*self.alphas, self.category_alpha}
            result = dict(category=sample['category'])
            result['rows'] = {
                row: {a: pck(found, truth, box, a) for a in alphas}
                for row, found in points.items()
            }
            if 'pred_mutual' in sample:
                result[_MUTUAL] = np.asarray(sample['pred_mutual'], bool)
            self.results.append(result)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Averages over all pairs.

        Args:
            results (list[dict]): Of all processes, one for each pair.

        Returns:
            dict[str, float]: See the class.
        """
        categories = [result['category'] for result in results]
        rows = [_MATCH]
        if all(_MUTUAL in result for result in results):
            rows.append(_MUTUAL)
        rows += ['identity', 'oracle']
        metrics = {}
        for row in rows:
            prefix = '' if row == _MATCH else f'{row}/'
            for alpha in self.alphas:
                correct = [self._correct(r, row, alpha) for r in results]
                found = average_pck(correct, categories)
                for average, value in found.items():
                    metrics[f'{prefix}PCK@{alpha:g}/{average}'] = value
        if _MUTUAL in rows:
            kept = np.concatenate([result[_MUTUAL] for result in results])
            metrics['mutual/share'] = 100.0 * float(kept.mean())
        self._log(metrics, rows)
        metrics.update(self._categories(results, categories, rows))
        return metrics

    def _correct(self, result: dict, row: str, alpha: float) -> np.ndarray:
        """Which points of a pair are correct in a row."""
        if row != _MUTUAL:
            return result['rows'][row][alpha]
        correct, mutual = result['rows'][_MATCH][alpha], result[_MUTUAL]
        if self.not_mutual == 'drop':
            return correct[mutual]
        return correct & mutual

    def _log(self, metrics: dict[str, float], rows: list[str]) -> None:
        """One line for each row, one column for each score."""
        columns = [f'PCK@{a:g}/{x}' for a in self.alphas for x in AVERAGES]
        table = [['', *columns]]
        for row in rows:
            prefix = '' if row == _MATCH else f'{row}/'
            table.append(
                [row, *(f'{metrics[prefix + c]:.2f}' for c in columns)]
            )
        print_log(f'\n{aligned(table)}', logger='current')

    def _categories(
        self, results: list[dict], categories: list[str], rows: list[str]
    ) -> dict[str, float]:
        """Log the table of categories; give it as metrics if asked for."""
        alpha = self.category_alpha
        scores = {
            row: category_pck(
                [self._correct(r, row, alpha) for r in results], categories
            )
            for row in rows
        }
        table = [[f'PCK@{alpha:g}/point', 'pairs', *rows]]
        for name in scores[_MATCH]:
            cells = [f'{scores[r].get(name, np.nan):.2f}' for r in rows]
            table.append([name, str(categories.count(name)), *cells])
        print_log(f'\n{aligned(table)}', logger='current')
        if not self.classwise:
            return {}
        return {
            f'PCK@{alpha:g}/point/{name}': value
            for name, value in scores[_MATCH].items()
        }


def aligned(table: list[list[str]]) -> str:
    """Rows of cells as text: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *others in table:
        cells = [first.ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(others, widths[1:], strict=True)]
        lines.append('  '.join(cells))
    return '\n'.join(lines)
