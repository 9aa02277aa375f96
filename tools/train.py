"""Train a model: python tools/train.py CONFIG [options]."""

import argparse

from lore_mm.engine.failures import run_main
from lore_mm.engine.launch import (
    add_common_arguments,
    apply_train_args,
    build_runner,
    load_config,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument('config', help='path or name of a config')
    add_common_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint; without PATH from the newest one in '
        'the work folder',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='train without validation'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the batch size over all processes',
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='start the loading processes anew for each validation too',
    )
    parser.add_argument('--seed', type=int, help='seed of every random draw')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    apply_train_args(cfg, args)
    build_runner(cfg).train()


if __name__ == '__main__':
    run_main(main)
