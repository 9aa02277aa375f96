"""Attention maps: original | B-B | KLA | LORE (Figure 3 of the paper).

    python tools/visualization/attention_maps.py bird.jpg photos/ \
        --config lore/vit-s_cub --checkpoint work_dirs/vit-s_cub --out maps

Writes a PNG and the arrays (npz) of each image. Several --config and as many
--checkpoint, such as one of a CLIP and one of a vanilla ViT, give one row
each in the same picture. ``none`` as a checkpoint is the untrained model. The
images stand first.
"""

import argparse
from pathlib import Path

from lore_mm.apis import AttentionVisualizer
from lore_mm.apis.attention_maps import output_names, save_maps
from lore_mm.apis.images import list_inputs
from lore_mm.engine.failures import run_main
from lore_mm.engine.files import check_work_dir
from lore_mm.engine.options import OptionAction


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('images', nargs='+', help='images or folders; first')
    parser.add_argument(
        '--config',
        nargs='+',
        action='extend',
        help='configs; leave them out where the checkpoints have them',
    )
    parser.add_argument(
        '--checkpoint',
        nargs='+',
        action='extend',
        help='checkpoints or work folders of runs, one for each config',
    )
    parser.add_argument(
        '--layer', type=int, default=-1, help='block, from 0; -1 is the last'
    )
    parser.add_argument('--head', type=int, help='default: mean of all heads')
    parser.add_argument(
        '--query',
        type=float,
        nargs=2,
        metavar=('X', 'Y'),
        help='pixel of the image as the ViT sees it; default: the CLS token',
    )
    parser.add_argument('--rollout', action='store_true')
    parser.add_argument(
        '--label', type=int, help='class of the KLA map; default: predicted'
    )
    parser.add_argument(
        '--height', type=int, default=224, help='of a map, in pixels'
    )
    parser.add_argument(
        '--out', '--out-dir', default='attention_maps', help='folder'
    )
    parser.add_argument('--device')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction)
    args = parser.parse_args()
    args.models = pair_up(parser, args.config or [], args.checkpoint or [])
    return args


def pair_up(
    parser: argparse.ArgumentParser,
    configs: list[str],
    checkpoints: list[str],
) -> list[tuple[str, str | None]]:
    """One pair for each model; a checkpoint alone has its config in it."""
    if not configs and not checkpoints:
        parser.error('give --config, --checkpoint, or both')
    if not configs or not checkpoints:
        return [(source, None) for source in configs or checkpoints]
    if len(configs) != len(checkpoints):
        parser.error(
            f'give as many --checkpoint as --config, got {len(checkpoints)} '
            f'and {len(configs)}; `none` stands for no checkpoint'
        )
    return list(zip(configs, checkpoints, strict=True))


def load_models(args: argparse.Namespace) -> dict[str, AttentionVisualizer]:
    """The models by name; one alone needs none."""
    models: dict[str, AttentionVisualizer] = {}
    for config, checkpoint in args.models:
        name = Path(config).stem if len(args.models) > 1 else ''
        if name in models:
            name = f'{name} {len(models) + 1}'
        models[name] = AttentionVisualizer(
            config,
            None if checkpoint == 'none' else checkpoint,
            args.device,
            args.cfg_options,
        )
    return models


def main() -> None:
    args = parse_args()
    images = list_inputs(args.images)
    check_work_dir(args.out)
    models = load_models(args)
    options = dict(
        layer=args.layer,
        head=args.head,
        query=tuple(args.query) if args.query else 'cls',
        rollout=args.rollout,
        label=args.label,
    )
    for image, target in zip(
        images, output_names(images, args.out), strict=True
    ):
        maps = {
            name: model.compute(image, **options)
            for name, model in models.items()
        }
        save_maps(maps, target, args.height)
        shares = [
            f'{name} {each.prompt_share.sum():.1%} on prompts'.strip()
            for name, each in maps.items()
            if each.prompt_share is not None
        ]
        print(f'{target}' + (f'  ({", ".join(shares)})' if shares else ''))


if __name__ == '__main__':
    run_main(main)
