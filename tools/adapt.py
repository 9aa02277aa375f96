"""Adapt a ViT to a folder of images: split, train, test, report.

    python tools/adapt.py PATH/TO/FOLDER

The folder has one sub-folder of images per class, or train/, val/ and test/
with them. What is not given is chosen for the machine. The output folder then
holds report.html, the config, the checkpoint, metrics and pictures. Killed and
started again with the same --out, it goes on where it stopped. More:
docs/adapt.md.
"""

import argparse
import shlex
from pathlib import Path

from lore_mm.apis.adaptation import Adaptation, adapt
from lore_mm.engine.failures import run_main
from lore_mm.utils import find_tool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('folder', type=Path, help='the images')
    parser.add_argument(
        '--out',
        type=Path,
        help='folder for the results (default: work_dirs/adapt/<folder>)',
    )
    parser.add_argument(
        '--black-box',
        metavar='NAME',
        help='the frozen ViT: vit-b16, vit-s14 or a name of timm',
    )
    parser.add_argument(
        '--checkpoint', metavar='FILE', help='local weights of the Black Box'
    )
    parser.add_argument(
        '--knowledge',
        choices=['sentence', 'random'],
        help='what embeds the class names',
    )
    parser.add_argument('--img-size', type=int, metavar='PIXELS')
    parser.add_argument('--batch-size', type=int, metavar='N')
    parser.add_argument('--epochs', type=int, metavar='N')
    parser.add_argument(
        '--amp',
        action=argparse.BooleanOptionalAction,
        help='train in mixed precision or not',
    )
    parser.add_argument('--seed', type=int, help='of split and training')
    parser.add_argument('--workers', type=int, help='loading processes')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='go on with what --out holds, never begin anew',
    )
    return parser.parse_args()


def summary(result: Adaptation) -> str:
    """Where everything is, and the command to go on."""
    metrics = result.metrics
    low, high = metrics['accuracy/top1_95%']
    return '\n'.join(
        (
            '',
            f'LORE:          {metrics["accuracy/top1"]:.1f} % of '
            f'{metrics["test_images"]} test images (95 %: {low:.0f} to '
            f'{high:.0f})',
            f'linear probe:  {metrics["linear_probe/accuracy/top1"]:.1f} %',
            f'Report:        {result.report}',
            f'Checkpoint:    {result.checkpoint}',
            f'Everything:    {result.out}',
            f'Test it with:  python {find_tool("test.py")} '
            f'{shlex.quote(str(result.config))} '
            f'{shlex.quote(str(result.checkpoint))}',
        )
    )


def main() -> None:
    args = vars(parse_args())
    print(summary(adapt(args.pop('folder'), **args)))


if __name__ == '__main__':
    run_main(main)
