"""Cost of the bare ViT, VPT and LORE, side by side in one run.

    python tools/analysis/benchmark_model.py --preset released

Parameters, GFLOPs, images/s at inference, time and memory of a training step.
The rows of one batch size are timed in turn, round after round, and the ratio
to the stock timm ViT is the median of the ratios within a round, so that a
machine whose speed drifts does not favour a row. Random weights: speed does
not depend on them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lore_mm.models import LOREViT, PromptedViT

CLIP_B16 = 'vit_base_patch16_clip_quickgelu_224.openai'
ROWS = ('stock', 'vpt-plain', 'vpt', 'lore-plain', 'lore')
TRAIN_ROWS = ('full', 'vpt', 'lore')


def build(row: str, model_name: str, img_size: int, preset: str) -> nn.Module:
    """One of ``ROWS`` or ``TRAIN_ROWS``; random weights."""
    black_box = dict(
        type='lore_mm.TimmBlackBox', model_name=model_name, img_size=img_size
    )
    if row == 'stock':
        return timm.create_model(model_name, img_size=img_size, num_classes=0)
    if row == 'full':
        return LOREViT(dict(black_box, frozen=False))
    fast = not row.endswith('-plain')
    if row.startswith('vpt'):
        return PromptedViT(black_box, num_prompts=10, fast=fast)
    white_box = dict(type='lore_mm.WhiteBox', preset=preset)
    return LOREViT(black_box, white_box, fast=fast)


def forward(model: nn.Module, img: Tensor) -> Tensor:
    """CLS token (B, C) of any row."""
    if isinstance(model, VisionTransformer):
        return model.forward_features(img)[:, 0]
    return model(img)[0]


def seconds(run: Callable[[], object], device: str) -> float:
    """Wall time of one call."""
    if device == 'cuda':
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turn(
    runs: dict[str, Callable[[], object]], rounds: int, device: str
) -> dict[str, list[float]]:
    """Time every run once per round, after one warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for index in range(rounds + 1):
        for name, run in runs.items():
            spent = seconds(run, device)
            if index:
                times[name].append(spent)
    return times


def ratio(times: dict[str, list[float]], name: str, base: str) -> float:
    """Median over rounds of the speed of ``name`` over that of ``base``."""
    pairs = zip(times[base], times[name], strict=True)
    return statistics.median(b / t for b, t in pairs)


@torch.no_grad()
def inference(args: argparse.Namespace, batch: int) -> list[dict]:
    """Images/s of all rows, and the difference of fast and plain paths."""
    models = {}
    for row in ROWS:
        torch.manual_seed(0)
        model = build(row, args.model, args.img_size, args.preset)
        models[row] = model.eval().to(args.device)
    for row in ('vpt', 'lore'):
        state = models[f'{row}-plain'].state_dict()
        models[row].load_state_dict(state)
    img = torch.randn(batch, 3, args.img_size, args.img_size)
    img = img.to(args.device)
    runs = {row: lambda m=m: forward(m, img) for row, m in models.items()}
    times = in_turn(runs, args.rounds, args.device)
    rows = []
    for row in ROWS:
        plain = models.get(f'{row}-plain')
        fault = None
        if plain is not None:
            gap = forward(models[row], img) - forward(plain, img)
            fault = float(gap.abs().max())
        rows.append(
            dict(
                row=row,
                batch=batch,
                images_per_s=batch / statistics.median(times[row]),
                ratio_to_stock=ratio(times, row, 'stock'),
                max_difference_to_plain=fault,
            )
        )
    return rows


def sizes(args: argparse.Namespace) -> list[dict]:
    """Parameters in millions and GFLOPs (2 per multiply-add) of an image."""
    rows = []
    img = torch.randn(1, 3, args.img_size, args.img_size, device=args.device)
    for row in ROWS:
        model = build(row, args.model, args.img_size, args.preset)
        model.eval().to(args.device)
        total = sum(p.numel() for p in model.parameters())
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        model.requires_grad_(False)  # the counter's hooks look for graphs
        with FlopCounterMode(display=False) as flops, torch.no_grad():
            forward(model, img)
        rows.append(
            dict(
                row=row,
                params_m=total / 1e6,
                trained_m=0.0 if row == 'stock' else trained / 1e6,
                gflops=flops.get_total_flops() / 1e9,
            )
        )
    return rows


def training(args: argparse.Namespace) -> list[dict]:
    """Step time, all rows in turn; peak memory, one process per row."""
    runs = {}
    for row in TRAIN_ROWS:
        runs[row] = train_step(row, args)
    times = in_turn(runs, args.rounds, args.device)
    rows = []
    for row in TRAIN_ROWS:
        rows.append(
            dict(
                row=row,
                batch=args.train_batch,
                step_s=statistics.median(times[row]),
                time_to_full=1 / ratio(times, row, 'full'),
                peak_mb=peak_memory(row, args),
            )
        )
    return rows


def train_step(row: str, args: argparse.Namespace) -> Callable[[], None]:
    """A function that runs one training step of ``row``."""
    model = build(row, args.model, args.img_size, args.preset)
    model.train().to(args.device)
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=1e-4
    )
    shape = (args.train_batch, 3, args.img_size, args.img_size)
    img = torch.randn(shape, device=args.device)

    def step() -> None:
        optimizer.zero_grad()
        forward(model, img).square().mean().backward()
        optimizer.step()

    return step


def peak_memory(row: str, args: argparse.Namespace) -> float:
    """Peak memory (MB) of one training step above that after building.

    Measured in a process of its own on CPU: a process's peak never falls.
    """
    if args.device == 'cuda':
        step = train_step(row, args)
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - start) / 2**20
    command = [sys.executable, __file__, '--memory-of', row]
    command += ['--model', args.model, '--preset', args.preset]
    command += ['--img-size', str(args.img_size)]
    command += ['--train-batch', str(args.train_batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def report_memory(args: argparse.Namespace) -> None:
    """Child process: print the peak of one step above what was held before.

    Linux only: the peak is reset through ``/proc``, since a process starts
    with that of its parent.
    """
    step = train_step(args.memory_of, args)
    Path('/proc/self/clear_refs').write_text('5')
    before = status_kb('VmRSS')
    step()
    print((status_kb('VmHWM') - before) / 1024)


def status_kb(key: str) -> int:
    """A value in kB of this process's ``/proc`` status."""
    for line in Path('/proc/self/status').read_text().splitlines():
        name, _, value = line.partition(':')
        if name == key:
            return int(value.split()[0])
    raise RuntimeError(f'/proc/self/status has no {key!r}.')


def markdown(rows: list[dict]) -> str:
    """Rows as a Markdown table."""
    keys = list(rows[0])
    lines = ['| ' + ' | '.join(keys) + ' |', '|' + '---|' * len(keys)]
    for row in rows:
        cells = [
            f'{v:.3g}' if isinstance(v, float) else str('' if v is None else v)
            for v in row.values()
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--model', default=CLIP_B16, help='timm name')
    parser.add_argument('--preset', default='released')
    parser.add_argument('--img-size', type=int, default=224)
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 16])
    parser.add_argument('--train-batch', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int)
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--skip-training', action='store_true')
    parser.add_argument('--out', help='also write the rows as JSON')
    parser.add_argument('--memory-of', help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.memory_of:
        report_memory(args)
        return
    tables = dict(sizes=sizes(args))
    for batch in args.batches:
        tables[f'inference, batch {batch}'] = inference(args, batch)
    if not args.skip_training:
        tables['training step'] = training(args)
    for title, rows in tables.items():
        print(f'\n{title}\n\n{markdown(rows)}')
    if args.out:
        with open(args.out, 'w') as file:
            json.dump(tables, file, indent=2)


if __name__ == '__main__':
    main()
