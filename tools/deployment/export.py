"""Export a trained LORE ViT to one file, checked against PyTorch.

    python tools/deployment/export.py CONFIG [CHECKPOINT] --out lore.onnx

CONFIG may also be a checkpoint or a work folder alone. ``--format torch``
writes a ``.pt2`` of torch.export, ``--output`` chooses features in the place
of logits. Without a checkpoint features are those of the bare Black Box.
Needs ``pip install "lore_mm[export]"`` for ONNX.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from lore_mm.apis import ClassificationInferencer, FeatureExtractor
from lore_mm.apis.images import PixelPipeline
from lore_mm.engine.export import (
    SUFFIXES,
    export_model,
    load_exported,
    random_images,
)
from lore_mm.engine.export_module import OUTPUTS, torch_runner
from lore_mm.engine.export_resize import resize_facts
from lore_mm.engine.failures import run_main
from lore_mm.engine.launch import check_out_file
from lore_mm.engine.options import OptionAction

# Any square photo: pipelines of this package give one size for all.
_PHOTO = (512, 512, 3)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of size, check and latency."""
    parser.add_argument(
        '--img-size',
        type=int,
        nargs='+',
        metavar='PIXELS',
        help='side, or height and width (default: that of the test pipeline)',
    )
    parser.add_argument(
        '--batch-sizes',
        type=int,
        nargs='+',
        default=[1, 2, 5],
        help='numbers of images to check with (default: 1 2 5)',
    )
    parser.add_argument(
        '--tolerance', type=float, default=1e-4, help='default: 1e-4'
    )
    parser.add_argument(
        '--rounds',
        type=int,
        default=20,
        help='rounds of the latency rows, 0 for none (default: 20)',
    )
    parser.add_argument('--threads', type=int, help='threads of both engines')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionAction,
        metavar='KEY=VALUE',
        help='override keys of the config',
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config, checkpoint or work folder')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint')
    parser.add_argument('--out', required=True, help='file to write')
    parser.add_argument(
        '--format', choices=SUFFIXES, default='onnx', help='default: onnx'
    )
    parser.add_argument(
        '--output', choices=OUTPUTS, default='logits', help='default: logits'
    )
    parser.add_argument(
        '--bare',
        action='store_true',
        help='features of the bare Black Box, whatever was trained',
    )
    _add_run_arguments(parser)
    args = parser.parse_args()
    if args.bare and args.output == 'logits':
        parser.error('--bare needs --output cls_token, featmap or raw')
    if args.img_size and len(args.img_size) > 2:
        parser.error('--img-size takes one or two numbers')
    for name in ('img_size', 'batch_sizes', 'threads'):
        given = getattr(args, name)
        least = 1 if given is None else np.min(given)
        if least < 1:
            option = name.replace('_', '-')
            parser.error(f'--{option} must be at least 1, got {least}')
    return args


def test_size(pipeline: PixelPipeline) -> tuple[int, int]:
    """Height and width that the test pipeline gives for a square photo."""
    inputs = pipeline(np.zeros(_PHOTO, np.uint8))['inputs']
    return tuple(inputs.shape[1:])


def latency(
    runs: dict[str, Callable[[Tensor], Tensor]], images: Tensor, rounds: int
) -> dict[str, float]:
    """Median milliseconds of each; in turn, after a round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for index in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run(images)
            if index:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    args = parse_args()
    check_out_file(args.out)  # an export takes minutes
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    options = dict(device='cpu', cfg_options=args.cfg_options)
    if args.output == 'logits':
        api = ClassificationInferencer(args.config, args.checkpoint, **options)
    else:
        api = FeatureExtractor(
            args.config,
            args.checkpoint,
            args.output,
            white_box=not args.bare,
            **options,
        )
    size = tuple(args.img_size or test_size(api.pipeline))
    size = size * 2 if len(size) == 1 else size
    gaps = export_model(
        api.model,
        args.out,
        args.format,
        size,
        args.output,
        args.batch_sizes,
        args.tolerance,
        resize_facts(
            api.pipeline.steps.transforms, size, api.pipeline.min_side
        ),
    )
    megabytes = Path(args.out).stat().st_size / 2**20
    print(
        f'wrote {args.out} ({megabytes:.1f} MB): images (B, 3, '
        f'{size[0]}, {size[1]}) to {args.output}'
    )
    for number, gap in gaps.items():
        print(f'batch {number}: largest difference to PyTorch {gap:.1e}')
    if args.rounds > 0:
        print_latency(args, api.model, size)


def print_latency(
    args: argparse.Namespace, model: BaseModel, size: tuple[int, int]
) -> None:
    """Rows of PyTorch and of the file, for 1 and 8 images."""
    runs = {
        'PyTorch ms': torch_runner(model, args.output),
        f'{args.format} ms': load_exported(args.out, args.format),
    }
    print(
        f'\nmedian of {args.rounds} rounds, '
        f'{torch.get_num_threads()} threads\n'
    )
    print(f'| batch | {" | ".join(runs)} | ratio |\n|---|---|---|---|')
    for number in (1, 8):
        images = random_images(number, size, seed=0)
        one, two = latency(runs, images, args.rounds).values()
        print(f'| {number} | {one:.1f} | {two:.1f} | {one / two:.2f} |')


if __name__ == '__main__':
    run_main(main)
