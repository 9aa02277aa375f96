"""Metric of retrieval by the revisited protocol."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from lore_mm.evaluation.functional.revisited_map import (
    PROTOCOLS,
    QueryScores,
    mean_scores,
    revisited_scores,
)
from lore_mm.models.retrievers import (
    check_descriptors,
    open_descriptors,
    similarity_blocks,
)
from lore_mm.registry import METRICS


@METRICS.register_module()
class RevisitedMAP(BaseMetric):
    """mAP and mP@k by the Easy, Medium and Hard protocols, in per cent.

    Reads ``gnd``, ``num_queries`` and ``num_images`` of the data set's
    ``metainfo``. A data sample has ``row`` and ``descriptor`` (D,); or
    ``descriptor_file``, all of them in one file, as
    :class:`~lore_mm.engine.RetrievalTestLoop` gives them. Scores are dot
    products, formed in float64 for a few queries at a time.

    Args:
        ks (Sequence[int]): Where to cut for mP@k. Defaults to (1, 5, 10).
        collect_device (str): As in mmengine. Defaults to ``'cpu'``.
        prefix (str, optional): As in mmengine. Defaults to none.

    Raises:
        ValueError: An image has no descriptor, or one that is not finite.
    """

    default_prefix = ''

    def __init__(
        self,
        ks: Sequence[int] = (1, 5, 10),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.ks = tuple(ks)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the descriptors of a batch."""
        for sample in data_samples:
            if 'descriptor_file' in sample:
                self.results.append(sample['descriptor_file'])
            else:
                descriptor = sample['descriptor'].detach().float().cpu()
                self.results.append((sample['row'], descriptor.numpy()))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Score the descriptors of all processes."""
        meta = self.dataset_meta
        num_queries = meta['num_queries']
        descriptors = _gather(results, num_queries + meta['num_images'])
        queries, database = (
            descriptors[:num_queries],
            descriptors[num_queries:],
        )
        parts = [
            revisited_scores(scores, meta['gnd'][chosen], self.ks)
            for chosen, scores in similarity_blocks(queries, database)
        ]
        joined = QueryScores(
            *(
                {
                    name: np.concatenate([part[i][name] for part in parts])
                    for name in PROTOCOLS
                }
                for i in range(len(QueryScores._fields))
            )
        )
        return mean_scores(joined, self.ks)


def _gather(results: list, total: int) -> np.ndarray:
    """Descriptors (total, D) by row, in memory or in a file."""
    if results and isinstance(results[0], str):
        descriptors = open_descriptors(results[0])
    else:
        width = len(results[0][1]) if results else 1
        descriptors = np.zeros((total, width), np.float32)
        for row, descriptor in results:
            descriptors[row] = descriptor
    if len(descriptors) != total:
        raise ValueError(
            f'there are {len(descriptors)} descriptors for {total} images.'
        )
    check_descriptors(descriptors)
    return descriptors
