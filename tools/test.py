"""Test a model: python tools/test.py CONFIG CHECKPOINT [options].

``none`` in the place of the checkpoint tests the model as it is built: the
bare Black Box of the tasks that train nothing.
"""

import argparse

from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from lore_mm.engine.failures import run_main
from lore_mm.engine.launch import (
    add_common_arguments,
    apply_test_args,
    build_runner,
    check_out_file,
    load_config,
    write_metrics,
)

_PICKLES = ('.pkl', '.pickle')


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
    parser.add_argument(
        '--show-dir', help='folder for images with their classes'
    )
    parser.add_argument(
        '--interval',
        type=int,
        metavar='N',
        help='every N-th image for --show-dir (default: 1, all of them)',
    )
    args = parser.parse_args()
    if args.out_item == 'pred' and not args.out:
        parser.error('--out-item pred needs --out FILE.pkl')
    if args.out_item == 'metrics' and str(args.out).endswith(_PICKLES):
        parser.error(
            f'--out {args.out}: metrics are written as JSON, give a .json '
            'file; --out-item pred writes the predictions as a pickle'
        )
    if args.interval is not None and not args.show_dir:
        parser.error('--interval needs --show-dir')
    if args.interval is not None and args.interval < 1:
        parser.error(f'--interval must be at least 1, got {args.interval}')
    return args


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    apply_test_args(cfg, args)
    if args.out:  # a test can take hours: is there a place for its figures?
        check_out_file(args.out)
    runner = build_runner(cfg)
    if args.out and args.out_item == 'pred':
        runner.test_evaluator.metrics.append(DumpResults(args.out))
    metrics = runner.test()
    if args.out and args.out_item == 'metrics' and is_main_process():
        write_metrics(metrics, args.out)


if __name__ == '__main__':
    run_main(main)
