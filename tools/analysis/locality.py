"""Locality as a number: attention on the object, and how far it reaches.

    python tools/analysis/locality.py --cub data/CUB_200_2011 \
        --config lore/vit-s_cub --checkpoint seed0.pth seed1.pth seed2.pth \
        --out work_dirs/locality

For each block of the bare ViT (B-B) and of LORE, mean over images and heads:

- the share of the CLS token's attention to patches that falls into the
  object's bounding box (``--cub``, test images) or mask (``--davis``, every
  ``--every``-th frame; 255 is void, with ``--year 2016`` the object), beside
  the share of the image that it covers, which even attention would give;
- the mean distance from a patch to what it attends to, in patches;
- the share of the CLS token's attention that goes to prompts.

And the share of KLA's attention on the object, of the true class (``--cub``,
where the model has classes of these names) and as the mean over classes.
Images are resized whole, their short side to ``--size`` pixels, sides rounded
to whole patches. LORE is the mean over checkpoints, with the sample deviation.
Writes Markdown, JSON and a plot.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import torch
from matplotlib import pyplot
from torch import Tensor, nn

from lore_mm.apis import init_model
from lore_mm.apis.attention import kla_weights
from lore_mm.apis.images import read_rgb
from lore_mm.datasets import CUB200
from lore_mm.datasets.davis import VOID_IDS
from lore_mm.datasets.davis_masks import load_mask
from lore_mm.engine.failures import run_main
from lore_mm.engine.files import check_work_dir, replace_when_done
from lore_mm.engine.launch import write_metrics
from lore_mm.engine.options import OptionAction
from lore_mm.evaluation.functional import (
    attention_distance,
    attention_mass,
    patch_cover,
)
from lore_mm.models.backbones.attention import attention_of_blocks

Sample = tuple[np.ndarray, np.ndarray, str | None]  # image, mask, class


# -- images and objects ------------------------------------------------------
def cub_samples(root: str, limit: int | None) -> Iterator[Sample]:
    """Test images of CUB-200-2011 with their boxes and classes."""
    data = CUB200(data_root=root, split='test', pipeline=[])
    lines = (Path(root) / 'bounding_boxes.txt').read_text().split('\n')
    paths = (Path(root) / 'images.txt').read_text().split('\n')
    boxes = dict(line.split(' ', 1) for line in lines if line)
    box_of = {
        path: np.array(boxes[number].split(), float)
        for number, path in (line.split(' ', 1) for line in paths if line)
    }
    chosen = np.arange(len(data))
    if limit is not None and limit < len(data):
        chosen = np.linspace(0, len(data) - 1, limit).astype(int)
    for index in chosen:
        info = data.get_data_info(int(index))
        image = read_rgb(info['img_path'])
        mask = np.zeros(image.shape[:2], bool)
        name = str(Path(info['img_path']).relative_to(Path(root) / 'images'))
        x, y, width, height = box_of[name].round().astype(int)
        mask[max(y, 0) : y + height, max(x, 0) : x + width] = True
        yield image, mask, data.metainfo['classes'][info['gt_label']]


def davis_samples(
    root: str, year: int, every: int, limit: int | None
) -> Iterator[Sample]:
    """Frames of DAVIS at 480p with the union of their objects' masks."""
    masks = sorted(Path(root).glob('Annotations/480p/*/*.png'))
    if not masks:
        raise FileNotFoundError(
            f"no mask in '{root}/Annotations/480p'; it must be the DAVIS "
            'folder.'
        )
    sequences: dict[str, list[Path]] = {}
    for path in masks:
        sequences.setdefault(path.parent.name, []).append(path)
    chosen = [p for each in sequences.values() for p in each[::every]]
    for path in chosen[:limit]:
        mask = load_mask(path, VOID_IDS[year]) > 0
        image = Path(root, 'JPEGImages/480p', path.parent.name, path.stem)
        if mask.any():
            yield read_rgb(image.with_suffix('.jpg')), mask, None


def prepare(
    sample: Sample, model: nn.Module, size: int
) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Normalised image (1, 3, H, W), cover of its patches, and its grid."""
    image, mask, _ = sample
    patch = model.backbone.black_box.patch_size
    scale = size / min(image.shape[:2])
    grid = tuple(max(1, round(s * scale / patch)) for s in image.shape[:2])
    shape = (grid[1] * patch, grid[0] * patch)
    image = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(
        mask.astype(np.uint8), shape, interpolation=cv2.INTER_NEAREST
    )
    pixels = torch.from_numpy(image).permute(2, 0, 1)
    batch = model.data_preprocessor(dict(inputs=[pixels]), False)
    return batch['inputs'], patch_cover(mask > 0, grid), grid


# -- figures -----------------------------------------------------------------
def figures(
    weights: list[Tensor], cover: Tensor, grid: tuple[int, int], prefix: int
) -> np.ndarray:
    """(3, L): mass on the object, distance, share of prompts."""
    rows = []
    for block in weights:
        number = block.shape[2]
        cls = block[0, :, 0]  # (heads, T + M)
        patches = block[0, :, prefix:, prefix:number]
        rows.append(
            (
                float(attention_mass(cls[:, prefix:number], cover).mean()),
                float(attention_distance(patches, grid).mean()),
                float(cls[:, number:].sum(-1).mean()),
            )
        )
    return np.array(rows).T


@torch.no_grad()
def measure(models: list[nn.Module], samples: Iterator, size: int) -> dict:
    """Means over images; LORE's with one row for each model."""
    bare, lore, area, kla = [], [], [], []
    prefix = models[0].backbone.black_box.num_prefix_tokens
    for sample in samples:
        inputs, cover, grid = prepare(sample, models[0], size)
        backbone = models[0].backbone
        weights = attention_of_blocks(backbone, inputs, bare=True)
        bare.append(figures(weights, cover, grid, prefix))
        area.append(float(cover.mean()))
        seeds = [
            figures(
                attention_of_blocks(model.backbone, inputs),
                cover,
                grid,
                prefix,
            )
            for model in models
        ]
        lore.append(seeds)
        kla.append([kla_mass(m, inputs, cover, sample[2]) for m in models])
    if not bare:
        raise ValueError(
            'there is no image with an object to measure; masks of 0 and '
            '255 are those of --year 2016.'
        )
    mean_kla = np.array(kla, float).mean(0)  # (seeds, 2)
    return dict(
        images=len(bare),
        area=float(np.mean(area)),
        black_box=np.mean(bare, 0).tolist(),
        lore=np.mean(lore, 0).tolist(),
        kla_true_class=mean_kla[:, 0].tolist(),
        kla_all_classes=mean_kla[:, 1].tolist(),
    )


def kla_mass(
    model: nn.Module, inputs: Tensor, cover: Tensor, name: str | None
) -> tuple[float, float]:
    """KLA's mass on the object: of the true class, and of all; or NaN."""
    weights = kla_weights(model, inputs)
    if weights is None:
        return float('nan'), float('nan')
    mass = attention_mass(weights[0], cover)  # (K,)
    # By name: the model may know other classes than the data, or order them
    # in another way.
    names = list((model.dataset_meta or {}).get('classes') or ())
    true = float(mass[names.index(name)]) if name in names else float('nan')
    return true, float(mass.mean())


# -- output ------------------------------------------------------------------
def spread(values: np.ndarray, digits: int) -> str:
    """Mean and, of several values, their sample deviation."""
    text = f'{np.mean(values):.{digits}f}'
    if len(values) > 1:
        text += f' ± {np.std(values, ddof=1):.{digits}f}'
    return text


def table(found: dict) -> str:
    """Markdown: one row for each block."""
    bare, lore = np.array(found['black_box']), np.array(found['lore'])
    lines = [
        '| block | on the object, B-B, % | LORE | distance, B-B | LORE | '
        'on prompts, LORE, % |',
        '|---|---|---|---|---|---|',
    ]
    for block in range(bare.shape[1]):
        cells = (
            str(block + 1),
            f'{100 * bare[0, block]:.1f}',
            spread(100 * lore[:, 0, block], 1),
            f'{bare[1, block]:.2f}',
            spread(lore[:, 1, block], 2),
            spread(100 * lore[:, 2, block], 1),
        )
        lines.append('| ' + ' | '.join(cells) + ' |')
    lines.append('')
    lines.append(
        f'{found["images"]} images; the object covers '
        f'{100 * found["area"]:.1f} % of them.'
    )
    for name in ('kla_true_class', 'kla_all_classes'):
        values = np.array(found[name])
        if not np.isnan(values).any():
            text = spread(100 * values, 1)
            lines.append(f'On the object, {name}: {text} %.')
        elif not np.isnan(found['kla_all_classes']).any():
            lines.append(
                f'{name} is left out: not every image has a class that the '
                'model knows by its name.'
            )
    return '\n'.join(lines)


def plot(found: dict, path: Path) -> None:
    """Both figures against the block."""
    bare, lore = np.array(found['black_box']), np.array(found['lore'])
    blocks = np.arange(1, bare.shape[1] + 1)
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4))
    for row, axis in enumerate(axes):
        axis.plot(blocks, bare[row], label='B-B', color='#7f7f7f')
        mean = lore[:, row].mean(0)
        axis.plot(blocks, mean, label='LORE', color='#d62728')
        low, high = lore[:, row].min(0), lore[:, row].max(0)
        axis.fill_between(blocks, low, high, color='#d62728', alpha=0.2)
        axis.set_xlabel('block')
    axes[0].axhline(found['area'], ls=':', color='k', label='even attention')
    axes[0].set_ylabel('attention of CLS on the object')
    axes[1].set_ylabel('attention distance, patches')
    axes[0].legend()
    figure.tight_layout()
    with replace_when_done(path) as temp:
        figure.savefig(temp, dpi=110, format='png')
    pyplot.close(figure)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--cub', help='folder of CUB-200-2011')
    source.add_argument('--davis', help='folder of DAVIS')
    parser.add_argument('--config', required=True)
    parser.add_argument('--checkpoint', nargs='+', required=True)
    parser.add_argument(
        '--year', type=int, choices=VOID_IDS, default=2017, help='of the masks'
    )
    parser.add_argument('--size', type=int, default=224, help='short side')
    parser.add_argument('--every', type=int, default=10, help='frames')
    parser.add_argument('--limit', type=int, help='at most so many images')
    parser.add_argument('--out', '--out-dir', required=True, help='folder')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    matplotlib.use('Agg')
    out = Path(args.out)
    check_work_dir(out)
    models = [
        init_model(args.config, checkpoint, cfg_options=args.cfg_options)
        for checkpoint in args.checkpoint
    ]
    if args.cub:
        samples = cub_samples(args.cub, args.limit)
    else:
        samples = davis_samples(args.davis, args.year, args.every, args.limit)
    found = measure(models, samples, args.size)
    text = table(found)
    print(text)
    write_metrics(found, out / 'locality.json')
    with replace_when_done(out / 'locality.md') as temp:
        temp.write_text(text + '\n')
    plot(found, out / 'locality.png')


if __name__ == '__main__':
    run_main(main)
