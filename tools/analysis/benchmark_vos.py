"""Time DAVIS's scores and label propagation against plain versions.

    python tools/analysis/benchmark_vos.py --data-root data/DAVIS
    python tools/analysis/benchmark_vos.py --data-root data/DAVIS \
        --config configs/vos/vit-s_davis2017.py --frames 16

The plain versions work on whole frames and form the whole affinity. Both sides
take turns; ratios are of medians of CPU seconds (one thread), which other
programs disturb less than the clock; so all runs on the CPU. Without a config
the features are pixels, with one those of its bare Black Box.
"""

import argparse
import os
import resource
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lore_mm.apis import VideoSegmentationInferencer
from lore_mm.datasets import DAVISDataset, FrameFiles
from lore_mm.datasets.davis_masks import load_mask, save_mask
from lore_mm.engine.failures import run_main
from lore_mm.evaluation.functional import (
    boundary_accuracy,
    propagate_labels,
    region_similarity,
)
from lore_mm.evaluation.functional.label_maps import resize_nearest
from lore_mm.evaluation.metrics.davis_folder import score_folder
from lore_mm.models.segmentors import FramePreprocessor

PATCH, POOL = 16, 4  # of the pixel features
WINDOW, TOP_K, TEMPERATURE, CONTEXT = 12, 5, 0.1, 7


# -- plain versions ------------------------------------------------------
def plain_scores(pred: np.ndarray, gt: np.ndarray) -> tuple[float, float]:
    """J and F of one frame, all work on the whole frame."""
    union = (pred | gt).sum()
    region = (pred & gt).sum() / union if union else 1.0
    radius = int(np.ceil(0.008 * np.linalg.norm(pred.shape)))
    offsets = np.arange(-radius, radius + 1) ** 2
    disk = (offsets + offsets[:, None] <= radius**2).astype(np.uint8)
    edges = [plain_boundary(mask) for mask in (pred, gt)]
    wide = [cv2.dilate(edge.astype(np.uint8), disk) > 0 for edge in edges]
    sizes = [edge.sum() for edge in edges]
    if not sizes[0] or not sizes[1]:
        return region, float(not sizes[0] and not sizes[1])
    precision = (edges[0] & wide[1]).sum() / sizes[0]
    recall = (edges[1] & wide[0]).sum() / sizes[1]
    total = precision + recall
    return region, 2 * precision * recall / total if total else 0.0


def plain_boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels unlike the one right, below, or both."""
    padded = np.pad(mask, ((0, 1), (0, 1)))
    right, below = padded[:-1, 1:], padded[1:, :-1]
    edge = (mask ^ right) | (mask ^ below) | (mask ^ padded[1:, 1:])
    edge[-1] = mask[-1] ^ right[-1]
    edge[:, -1] = mask[:, -1] ^ below[:, -1]
    edge[-1, -1] = False
    return edge


def plain_masks(features: Tensor, mask: np.ndarray, patch: int) -> np.ndarray:
    """Propagation with the affinity of all pairs of cells."""
    _, _, height, width = features.shape
    rows = (torch.arange(height)[:, None] - torch.arange(height)).abs()
    cols = (torch.arange(width)[:, None] - torch.arange(width)).abs()
    inside = (rows <= WINDOW)[:, None, :, None] & (cols <= WINDOW)[:, None]
    inside = inside.flatten(2).flatten(0, 1).float()
    flat = F.normalize(features.flatten(2), dim=1)
    small = resize_nearest(mask, (height, width)).ravel()
    ids = np.arange(mask.max() + 1)[:, None]
    first = flat[0], torch.from_numpy(small == ids).float()
    recent: deque = deque(maxlen=CONTEXT)
    masks = [mask]
    for frame in flat[1:]:
        keys, labels = zip(first, *recent, strict=True)
        affinity = torch.exp(frame.T @ torch.stack(keys) / TEMPERATURE)
        affinity = (affinity * inside).transpose(0, 1).flatten(1)
        least = affinity.topk(TOP_K, dim=1).values[:, -1:]
        affinity[affinity < least] = 0
        affinity /= affinity.sum(1, keepdim=True)
        found = torch.cat(labels, dim=1) @ affinity.T
        recent.append((frame, found))
        wide = F.interpolate(
            found.view(1, -1, height, width),
            scale_factor=patch,
            mode='bilinear',
        )[0]
        for each in wide:
            if each.max() > 0:
                each.sub_(each.min())
                each.div_(each.max())
        found = wide.argmax(0).byte().numpy()
        masks.append(resize_nearest(found, mask.shape))
    return np.stack(masks)


# -- measuring -----------------------------------------------------------
def compare(
    plain: Callable,
    ours: Callable,
    rounds: int,
    clock: Callable[[], float | np.ndarray] = time.process_time,
) -> tuple[float | np.ndarray, float | np.ndarray]:
    """Median seconds of both, taking turns."""
    times: tuple[list, list] = ([], [])
    for _ in range(rounds):
        for run, kept in zip((plain, ours), times, strict=True):
            start = clock()
            run()
            kept.append(clock() - start)
    return np.median(times[0], 0), np.median(times[1], 0)


def wall_and_cpu() -> np.ndarray:
    """Seconds by the clock, and of this process and its ended children."""
    return np.array([time.perf_counter(), sum(os.times()[:4])])


def extra_memory(run: Callable, *args: object) -> float:
    """Megabytes that ``run`` adds to the peak of a process of its own."""
    with ProcessPoolExecutor(1, get_context('fork')) as pool:
        return pool.submit(_grown, run, *args).result()


def _grown(run: Callable, *args: object) -> float:
    def peak() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_maxrss / 1024

    torch.set_num_threads(1)
    before = peak()
    run(*args)
    return peak() - before


def shifted(mask: np.ndarray, index: int) -> np.ndarray:
    """A prediction: the truth, moved by a few pixels."""
    return np.roll(mask, (index % 5, index % 9), (0, 1))


def score_all(scores: Callable, pairs: list) -> list:
    return [scores(pred, gt) for pred, gt in pairs]


def our_scores(pred: np.ndarray, gt: np.ndarray) -> tuple[float, float]:
    pair = pred[None], gt[None]
    return region_similarity(*pair)[0], boundary_accuracy(*pair)[0]


def benchmark_scores(records: list[dict], rounds: int) -> None:
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        for record in records:
            for i, path in enumerate(record['ann_paths']):
                gt = load_mask(path, record['void_id'])
                pred = shifted(gt, i)
                name = Path(record['sequence'], f'{Path(path).stem}.png')
                save_mask(Path(folder, name), pred)
                pairs.append((pred == 1, gt == 1))
        equal = score_all(plain_scores, pairs) == score_all(our_scores, pairs)
        plain, ours = compare(
            lambda: score_all(plain_scores, pairs),
            lambda: score_all(our_scores, pairs),
            rounds,
        )
        print(
            f'scores, {len(pairs)} frames: plain {plain:.2f} s, ours '
            f'{ours:.2f} s, {plain / ours:.1f} x, same digits: {equal}'
        )
        many = records * 4  # enough work for processes to pay
        one, two = compare(
            lambda: score_folder(folder, many),
            lambda: score_folder(folder, many, processes=2),
            rounds,
            wall_and_cpu,
        )
        faster, share = one[0] / two[0], two[1] / one[1]
        print(
            f'scores of files, {4 * len(pairs)} frames: 1 process '
            f'{one[0]:.2f} s, 2 processes {two[0]:.2f} s, {faster:.2f} x by '
            f'the clock; CPU {one[1]:.2f} s and {two[1]:.2f} s, {share:.2f} '
            f'of it'
        )


def pixel_features(frames: FrameFiles, count: int) -> Tensor:
    """48 values a patch: means of 4 x 4 pixels."""
    size = FramePreprocessor(mean=[123.675, 116.28, 103.53], std=[58.0] * 3)
    found = []
    for index in range(count):
        small = F.avg_pool2d(size.frame(frames[index]), POOL)
        side = PATCH // POOL
        grid = tuple(length // side for length in small.shape[2:])
        found.append(F.unfold(small, side, stride=side).view(-1, *grid))
    return torch.stack(found)


def vit_features(
    config: str, frames: FrameFiles, count: int
) -> tuple[Tensor, int]:
    """Patch tokens (T, C, h, w) of the bare Black Box, and its patch size."""
    model = VideoSegmentationInferencer(config, device='cpu').model
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        inputs = [
            model.data_preprocessor.frame(frames[i]) for i in range(count)
        ]
        found = [model.extract_feat(each)[0].float() for each in inputs]
    return torch.stack(found), inputs[0].shape[-2] // found[0].shape[-2]


def benchmark_propagation(record: dict, args: argparse.Namespace) -> None:
    frames = FrameFiles(record['img_paths'])
    mask = load_mask(record['ann_paths'][0], record['void_id'])
    count = min(args.frames, len(frames))
    if args.config is None:
        features, patch = pixel_features(frames, count), PATCH
    else:
        features, patch = vit_features(args.config, frames, count)
    sides = plain_masks, propagate_labels
    # Memory first: a child starts with what its parent holds.
    memory = [extra_memory(s, features, mask, patch) for s in sides]
    equal = np.array_equal(*[side(features, mask, patch) for side in sides])
    plain, ours = compare(
        *[lambda s=side: s(features, mask, patch) for side in sides],
        args.rounds,
    )
    print(
        f'propagation, {count} frames of {tuple(features.shape[1:])}: plain '
        f'{plain:.2f} s, ours {ours:.2f} s, {plain / ours:.1f} x, same '
        f'pixels: {equal}; memory plain {memory[0]:.0f} MB, ours '
        f'{memory[1]:.0f} MB, {memory[1] / memory[0]:.2f} of it'
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Time the DAVIS protocol')
    parser.add_argument(
        '--data-root', default=os.environ.get('DAVIS_ROOT', 'data/DAVIS')
    )
    parser.add_argument('--config', help='features of its Black Box')
    parser.add_argument('--frames', type=int, default=12)
    parser.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    dataset = DAVISDataset(args.data_root)
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    benchmark_propagation(records[0], args)
    benchmark_scores(records, args.rounds)


if __name__ == '__main__':
    run_main(main)
