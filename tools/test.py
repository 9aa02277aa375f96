"""Test a model: python tools/test.py CONFIG CHECKPOINT [options].

``none`` in the place of the checkpoint tests the model as it is built: the
bare Black Box of the tasks that train nothing.
"""

import argparse
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from lore_mm.engine.failures import run_main
from lore_mm.engine.launch import (
    add_common_arguments,
    apply_test_args,
    build_runner,
    load_config,
    write_metrics,
)
from lore_mm.utils.outputs import check_folder


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a checkpoint')
    parser.add_argument('config', help='path or name of a config')
    parser.add_argument(
        'checkpoint', help='checkpoint to test, or none: nothing is loaded'
    )
    add_common_arguments(parser)
    parser.add_argument('--out', help='file for the metrics or predictions')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        default='metrics',
        help='metrics as JSON (default), or predictions as a pickle',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    apply_test_args(cfg, args)
    if args.out:  # a test can take hours: is there a place for its figures?
        if Path(args.out).is_dir():
            raise ValueError(f'--out {args.out} is a folder, give a file.')
        folder = Path(args.out).resolve().parent
        check_folder(folder, 'the folder of --out', 'give another file')
    runner = build_runner(cfg)
    if args.out and args.out_item == 'pred':
        runner.test_evaluator.metrics.append(DumpResults(args.out))
    metrics = runner.test()
    if args.out and args.out_item == 'metrics' and is_main_process():
        write_metrics(metrics, args.out)


if __name__ == '__main__':
    run_main(main)
