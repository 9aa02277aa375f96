"""Cost of matching key points, against interpolating whole feature maps.

    python tools/analysis/benchmark_matching.py --threads 1

Synthetic features of the sizes of SPair-71k. The whole-map side makes the C x
H x W map of the target for each pair and compares each key point with every
pixel; ours interpolates the similarity maps of the key points. Both get the
same source features and are timed in turn, round after round; the ratio is
that of the medians. The whole map is only made for the target and only once a
pair, which favours it; our time with the search back is given beside it.
Peak memory is what one pair adds to a process that holds the features.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lore_mm.models.matchers.matching import (
    ImageFeatures,
    locate,
    match_points,
    pixel_norms,
    read_at,
)
from lore_mm.utils.measure import extra_memory, in_turn, markdown

# Values that differ by rounding alone, as on the flat rim of a map.
_TIE = 1e-5


def features(
    grid: int, args: argparse.Namespace, readout: str, seed: int
) -> ImageFeatures:
    """Smooth random tokens: neighbours are alike, as in a ViT."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(
        1, args.dims, grid // 2, grid // 2, generator=generator
    )
    fine = torch.randn(args.dims, grid, grid, generator=generator)
    tokens = F.interpolate(coarse, size=grid, mode='bilinear')[0] + fine
    side = grid * args.patch
    norms = None
    if readout == 'bilinear-cosine':
        norms = pixel_norms(tokens, (side, side))
    else:
        tokens = F.normalize(tokens, dim=0)
    cell = (float(args.patch), float(args.patch))
    return ImageFeatures(tokens, (side, side), cell, (side, side), norms)


def whole_map(
    source: ImageFeatures, target: ImageFeatures, cells: Tensor, readout: str
) -> tuple[Tensor, Tensor]:
    """Best pixels (n,) by the whole interpolated map, and the maps (n, P)."""
    queries = F.normalize(read_at(source.tokens, cells), dim=1)
    full = F.interpolate(
        target.tokens[None], size=target.size, mode='bilinear'
    )[0].flatten(1)  # (C, H * W)
    if readout == 'bilinear-cosine':
        full /= full.norm(dim=0, keepdim=True)
    maps = queries @ full
    return maps.argmax(1), maps


def agreement(
    source: ImageFeatures, target: ImageFeatures, cells: Tensor, readout: str
) -> tuple[float, float, float]:
    """Share of equal pixels, of equal or tied ones, and the largest gap."""
    best, maps = whole_map(source, target, cells, readout)
    queries = read_at(source.tokens, cells)
    found, _ = locate(queries, target, readout)
    height, width = target.size
    x = (found[:, 0] * width / target.grid[1]).floor().long()
    y = (found[:, 1] * height / target.grid[0]).floor().long()
    ours = y * width + x
    rows = torch.arange(len(ours))
    gap = (maps[rows, best] - maps[rows, ours]).abs()
    return (
        float((ours == best).double().mean()),
        float(((ours == best) | (gap < _TIE)).double().mean()),
        float(gap.max()),
    )


@torch.no_grad()
def measure(grid: int, readout: str, args: argparse.Namespace) -> dict:
    """One row of the table."""
    images = [features(grid, args, readout, seed) for seed in range(2)]
    cells = torch.rand(args.points, 2, dtype=torch.float64) * grid
    runs = dict(
        whole=lambda: whole_map(*images, cells, readout),
        ours=lambda: match_points(*images, cells, readout),
        mutual=lambda: match_points(*images, cells, readout, 1.0),
    )
    times = in_turn(runs, args.rounds)
    milliseconds = {
        name: 1000 * statistics.median(each) for name, each in times.items()
    }
    equal, tied, gap = agreement(*images, cells, readout)
    return dict(
        grid=f'{grid} x {grid}',
        readout=readout,
        whole_map_ms=milliseconds['whole'],
        ours_ms=milliseconds['ours'],
        ratio=milliseconds['ours'] / milliseconds['whole'],
        mutual_ms=milliseconds['mutual'],
        same_pixel=equal,
        same_or_tied=tied,
        largest_gap=gap,
        peak_mb=peak_memory(grid, readout, args),
    )


def peak_memory(grid: int, readout: str, args: argparse.Namespace) -> float:
    """Peak memory (MB) of one pair, in a process of its own."""
    command = [sys.executable, __file__, '--memory-of', str(grid), readout]
    for name in ('dims', 'patch', 'points'):
        command += [f'--{name}', str(getattr(args, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


@torch.no_grad()
def report_memory(args: argparse.Namespace) -> None:
    """Child process: print what matching a pair adds at its peak."""
    grid, readout = int(args.memory_of[0]), args.memory_of[1]
    images = [features(grid, args, readout, seed) for seed in range(2)]
    small = [features(4, args, readout, seed) for seed in range(2)]
    few = torch.rand(2, 2, dtype=torch.float64)
    match_points(*small, few, readout, 1.0)  # what a first call allocates
    cells = torch.rand(args.points, 2, dtype=torch.float64) * grid
    print(extra_memory(lambda: match_points(*images, cells, readout, 1.0)))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--grids', type=int, nargs='+', default=[14, 60])
    parser.add_argument(
        '--readouts',
        nargs='+',
        default=['bilinear-argmax', 'bilinear-cosine'],
    )
    parser.add_argument('--dims', type=int, default=768)
    parser.add_argument('--patch', type=int, default=16, help='in pixels')
    parser.add_argument(
        '--points', type=int, default=10, help='key points of a pair'
    )
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int)
    parser.add_argument('--out', help='also write the rows as JSON')
    parser.add_argument('--memory-of', nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.memory_of:
        report_memory(args)
        return
    rows = [
        measure(grid, readout, args)
        for grid in args.grids
        for readout in args.readouts
    ]
    print(markdown(rows))
    if args.out:
        Path(args.out).write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    main()
