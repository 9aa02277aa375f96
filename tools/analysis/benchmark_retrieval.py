"""Time retrieval: scoring a million images, describing mixed sizes.

    python tools/analysis/benchmark_retrieval.py map --rounds 5
    python tools/analysis/benchmark_retrieval.py extract \
        configs/retrieval/vit-s_scenes.py --checkpoint none

``map``: 70 queries against 1,004,993 scores, our counting beside "sort all,
then walk through the ranks". ``extract``: images of many sizes one by one
(read, resize, run) beside batches of like size with loading processes. Both
sides run in turn, round after round; ratios are those of the medians.
"""

import argparse
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lore_mm.datasets import read_ground_truth
from lore_mm.engine import load_trained_weights
from lore_mm.engine.config_file import read_config_file
from lore_mm.engine.failures import run_main
from lore_mm.engine.options import OptionAction, merge_options
from lore_mm.evaluation.functional import revisited_map
from lore_mm.evaluation.functional.revisited_map import PROTOCOLS
from lore_mm.registry import DATASETS, MODELS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest='kind', required=True)
    score = kinds.add_parser('map', help='scoring of a ranking')
    score.add_argument('--images', type=int, default=1_004_993)
    score.add_argument('--queries', type=int, default=70)
    score.add_argument('--gnd', help='ground truth (default: made up)')
    extract = kinds.add_parser('extract', help='descriptors of images')
    extract.add_argument('config', help='of retrieval')
    extract.add_argument('--checkpoint', default='none')
    extract.add_argument('--batch-size', type=int, default=16)
    extract.add_argument('--workers', type=int, default=1)
    extract.add_argument('--limit', type=int, help='at most so many images')
    extract.add_argument('--cfg-options', nargs='+', action=OptionAction)
    for each in (score, extract):
        each.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


def in_turn(
    runs: dict[str, Callable[[], object]], rounds: int
) -> dict[str, object]:
    """Time all runs in every round; print medians; return last results."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    results = {}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter(), cpu_seconds()
            results[name] = run()
            stop = time.perf_counter(), cpu_seconds()
            times[name].append((stop[0] - start[0], stop[1] - start[1]))
    medians = {
        name: [
            statistics.median(column) for column in zip(*spent, strict=True)
        ]
        for name, spent in times.items()
    }
    first = next(iter(runs))
    print(f'{"":28s}     wall s      CPU s   speed against "{first}"')
    for name, (wall, cpu) in medians.items():
        print(
            f'{name:28s} {wall:10.3f} {cpu:10.3f}   '
            f'{medians[first][0] / wall:.2f} x wall, '
            f'{medians[first][1] / cpu:.2f} x CPU'
        )
    return results


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended.

    On a machine that others use too it says more than the wall clock, with
    one thread: threads that wait for each other count as busy.
    """
    return sum(os.times()[:4])


# -- scoring -------------------------------------------------------------
def sort_and_map(scores: np.ndarray, gnd: Sequence[dict], axis: int) -> dict:
    """mAP from whole rankings; ``scores`` are (n_db, n_q) for axis 0."""
    ranks = np.argsort(-scores, axis=axis)
    ranks = ranks if axis == 0 else ranks.T
    means = {}
    for name, (positive, junk) in PROTOCOLS.items():
        found = []
        for query, entry in enumerate(gnd):
            good = [i for key in positive for i in entry[key]]
            bad = [i for key in junk for i in entry[key]]
            if not good:
                continue
            order = ranks[:, query]
            place = np.flatnonzero(np.isin(order, good))
            out = np.flatnonzero(np.isin(order, bad))
            place = place - np.searchsorted(out, place)
            j = np.arange(len(place))
            before = np.where(place == 0, 1.0, j / np.maximum(place, 1))
            area = before + (j + 1) / (place + 1)
            found.append(area.sum() / (2 * len(good)))
        means[f'mAP/{name}'] = 100 * float(np.mean(found))
    return means


def made_up_gnd(num_queries: int, seed: int = 0) -> list[dict]:
    """Lists as long as those of ROxford5k."""
    rng = np.random.default_rng(seed)
    gnd = []
    for _ in range(num_queries):
        images = rng.permutation(4993)[:140].tolist()
        gnd.append(
            dict(easy=images[:44], hard=images[44:80], junk=images[80:])
        )
    return gnd


def benchmark_map(args: argparse.Namespace) -> None:
    """Compare :func:`revisited_map` with sorting everything."""
    gnd = made_up_gnd(args.queries)
    if args.gnd:
        gnd = read_ground_truth(args.gnd)['gnd'][: args.queries]
    rng = np.random.default_rng(0)
    scores = rng.random((args.queries, args.images), dtype=np.float32)
    columns = np.ascontiguousarray(scores.T)
    results = in_turn(
        {
            'sort (n_db, n_q) and map': lambda: sort_and_map(columns, gnd, 0),
            'sort (n_q, n_db) and map': lambda: sort_and_map(scores, gnd, 1),
            'revisited_map': lambda: revisited_map(scores, gnd),
        },
        args.rounds,
    )
    ours = results.pop('revisited_map')
    # random float32 scores tie now and then, and argsort is not stable
    for name, found in results.items():
        apart = max(abs(ours[key] - found[key]) for key in found)
        print(f'{name}: largest difference in mAP {apart:.1e}')
    tracemalloc.start()
    revisited_map(scores, gnd)
    peak = tracemalloc.get_traced_memory()[1]
    print(
        f'peak memory of revisited_map beside the scores '
        f'({scores.nbytes / 1e6:.0f} MB): {peak / 1e6:.1f} MB'
    )


# -- descriptors ---------------------------------------------------------
def load(args: argparse.Namespace) -> tuple[Dataset, nn.Module]:
    """The images and the retriever of a config."""
    cfg = read_config_file(args.config)
    if args.cfg_options:
        merge_options(cfg, args.cfg_options)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    cfg.model.data_preprocessor = cfg.data_preprocessor
    model = MODELS.build(cfg.model).eval()
    if args.checkpoint != 'none':
        load_trained_weights(model, args.checkpoint)
    return dataset, model


@torch.inference_mode()
def describe(
    model: nn.Module, loader: DataLoader, fast_linear: bool = True
) -> torch.Tensor:
    """Descriptors (n, D) of all images of a loader, by row."""
    model.fast_linear = fast_linear
    found = {}
    for batch in loader:
        for sample in model.test_step(batch):
            found[sample.row] = sample.descriptor
    return torch.stack([found[row] for row in sorted(found)])


def benchmark_extract(args: argparse.Namespace) -> None:
    """Compare grouped batches with one image at a time."""
    dataset, model = load(args)

    def loader(batch_size: int, workers: int = 0) -> DataLoader:
        return DataLoader(
            dataset,
            batch_size,
            sampler=range(len(dataset))[: args.limit],
            num_workers=workers,
            collate_fn=pseudo_collate,
        )

    model.test_step(pseudo_collate([dataset[0]]))  # warm up
    size, workers = args.batch_size, args.workers
    results = in_turn(
        {
            'one by one, stock linear': lambda: describe(
                model, loader(1), fast_linear=False
            ),
            'one by one': lambda: describe(model, loader(1)),
            'batches': lambda: describe(model, loader(size)),
            'batches, loading processes': lambda: describe(
                model, loader(size, workers)
            ),
        },
        args.rounds,
    )
    alone = results.pop('one by one, stock linear')
    for name, found in results.items():
        print(f'{name}: largest difference {(found - alone).abs().max():.1e}')


def main() -> None:
    args = parse_args()
    benchmark_map(args) if args.kind == 'map' else benchmark_extract(args)


if __name__ == '__main__':
    run_main(main)
