"""Choose the easiest or hardest training images of each class.

    python tools/select_images.py configs/lore/vit-s_cub.py \
        --how easiest --shots 16 --out easy.json
    python tools/select_images.py configs/lore/vit-s_cub.py \
        --how hardest --shots 16 --out hard.json --checkpoint CHECKPOINT

The file serves as ``train_dataloader.dataset.indices_file`` of the same
config. Easiest by herding, hardest by the distance of the CLS token to the
centroid of its class; the bare Black Box judges, or the checkpoint.
"""

import argparse

from mmengine.runner import autocast

from lore_mm.datasets.records import write_record
from lore_mm.engine import load_trained_weights
from lore_mm.engine.bare_model import bare_model
from lore_mm.engine.easy_to_hard import HOWS, select_images
from lore_mm.engine.failures import run_main
from lore_mm.engine.launch import (
    add_common_arguments,
    build_runner,
    finish_config,
    load_config,
)
from lore_mm.utils import mixed_precision_pays


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='path or name of a config')
    add_common_arguments(parser)
    parser.add_argument('--how', choices=HOWS, required=True)
    parser.add_argument('--shots', type=int, required=True)
    parser.add_argument('--out', required=True, help='file to write')
    parser.add_argument('--checkpoint', help='the model that judges')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    finish_config(cfg, args)
    runner = build_runner(cfg)
    if args.checkpoint:
        load_trained_weights(bare_model(runner), args.checkpoint)
    amp = args.amp or args.auto_amp and mixed_precision_pays()
    with autocast(enabled=amp):
        record = select_images(
            runner, args.shots, args.how, trained=bool(args.checkpoint)
        )
    write_record(args.out, record)
    runner.logger.info(
        f'{len(record["indices"])} {args.how} images written to {args.out}'
    )


if __name__ == '__main__':
    run_main(main)
