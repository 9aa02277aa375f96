"""Cost of the bare ViT, VPT and LORE, side by side in one run.

    python tools/analysis/benchmark_model.py --presets released extended

Parameters, GFLOPs, images/s at inference, time and memory of a training step.
The rows of one batch size are timed in turn, round after round, and the ratio
to the stock timm ViT is the median of the ratios within a round, so that a
machine whose speed drifts does not favour a row. Random weights: speed does
not depend on them.

A training step is what ``tools/train.py`` runs: the loss of a classifier,
LORE's with KLA and L_kp, its gradients, AdamW.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lore_mm.models import LOREViT, PromptedViT
from lore_mm.utils.measure import extra_memory, in_turn, markdown, time_ratio

# isort: split
# After lore_mm, which imports it without its warnings.
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample

CLIP_B16 = 'vit_base_patch16_clip_quickgelu_224.openai'
NUM_CLASSES = 200
TEXT_DIMS = 512


# -- models ------------------------------------------------------------------
def inference_rows(args: argparse.Namespace) -> list[str]:
    """Rows of the inference table; ``-plain``: prompts as whole tokens."""
    rows = ['stock', 'vpt-plain', 'vpt']
    for preset in args.presets:
        rows += [f'lore-{preset}-plain', f'lore-{preset}']
    return rows


def training_rows(args: argparse.Namespace) -> list[str]:
    """Rows of the training table."""
    return ['full', 'vpt', *(f'lore-{preset}' for preset in args.presets)]


def build(row: str, args: argparse.Namespace, out: str) -> nn.Module:
    """The backbone of a row; random weights.

    Args:
        row (str): One of :func:`inference_rows` or :func:`training_rows`.
        args (argparse.Namespace): ``model`` and ``img_size`` are read.
        out (str): ``out_type``.
    """
    size = args.img_size
    if row == 'stock':
        return timm.create_model(args.model, img_size=size, num_classes=0)
    black_box = dict(
        type='lore_mm.TimmBlackBox', model_name=args.model, img_size=size
    )
    if row == 'full':
        return LOREViT(dict(black_box, frozen=False), out_type=out)
    fast = not row.endswith('-plain')
    if row.startswith('vpt'):
        return PromptedViT(black_box, num_prompts=10, out_type=out, fast=fast)
    preset = row.split('-')[1]
    white_box = dict(type='lore_mm.WhiteBox', preset=preset)
    return LOREViT(black_box, white_box, out_type=out, fast=fast)


def classifier(row: str, args: argparse.Namespace) -> ImageClassifier:
    """The model that ``tools/train.py`` would train, in training mode."""
    backbone = build(row, args, 'lore')
    black_box = backbone.black_box
    white_box = getattr(backbone, 'white_box', None)
    head = dict(
        type='lore_mm.LOREHead',
        num_classes=NUM_CLASSES,
        in_channels=black_box.out_dims,
        scale=16.0,
    )
    neck = None
    if white_box is not None:
        head['constraint'] = dict(type='lore_mm.PrototypeConstraintLoss')
        if white_box.preset == 'extended':
            head['local_channels'] = white_box.pooled_dims
        neck = dict(
            type='lore_mm.KnowledgeLocalityNeck',
            num_classes=NUM_CLASSES,
            embed_dims=black_box.embed_dims,
            text_dims=TEXT_DIMS,
            knowledge=dict(
                type='lore_mm.RandomTextEncoder', embed_dims=TEXT_DIMS
            ),
        )
    model = ImageClassifier(backbone, neck=neck, head=head)
    if neck is not None:
        embeddings = torch.randn(NUM_CLASSES, TEXT_DIMS)
        model.neck.class_embeddings.copy_(embeddings)
    return model.train().to(args.device)


def forward(model: nn.Module, img: Tensor) -> Tensor:
    """CLS token (B, C) of a backbone, or of timm's ViT."""
    if isinstance(model, VisionTransformer):
        return model.forward_features(img)[:, 0]
    return model(img)[0]


# -- inference ---------------------------------------------------------------
@torch.no_grad()
def inference(args: argparse.Namespace, batch: int) -> list[dict]:
    """Images/s of all rows, and the difference of fast and plain paths."""
    models = {}
    for row in inference_rows(args):
        torch.manual_seed(0)
        model = build(row, args, 'cls_token')
        models[row] = model.eval().to(args.device)
    for row, model in models.items():
        if f'{row}-plain' in models:
            model.load_state_dict(models[f'{row}-plain'].state_dict())
    img = torch.randn(batch, 3, args.img_size, args.img_size)
    img = img.to(args.device)
    runs = {row: lambda m=m: forward(m, img) for row, m in models.items()}
    times = in_turn(runs, args.rounds, args.device)
    rows = []
    for row in models:
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
                ratio_to_stock=1 / time_ratio(times, row, 'stock'),
                max_difference_to_plain=fault,
            )
        )
    return rows


def sizes(args: argparse.Namespace) -> list[dict]:
    """Parameters in millions and GFLOPs (2 per multiply-add) of an image."""
    rows = []
    img = torch.randn(1, 3, args.img_size, args.img_size, device=args.device)
    for row in inference_rows(args):
        model = build(row, args, 'cls_token').eval().to(args.device)
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


# -- training ----------------------------------------------------------------
def training(args: argparse.Namespace) -> list[dict]:
    """Step time, all rows in turn; peak memory, one process per row."""
    runs = {row: train_step(row, args) for row in training_rows(args)}
    times = in_turn(runs, args.rounds, args.device)
    return [
        dict(
            row=row,
            batch=args.train_batch,
            step_s=statistics.median(times[row]),
            time_to_full=time_ratio(times, row, 'full'),
            peak_mb=peak_memory(row, args),
        )
        for row in runs
    ]


def train_step(row: str, args: argparse.Namespace) -> Callable[[], None]:
    """A function that runs one training step of ``row``."""
    model = classifier(row, args)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=1e-4
    )
    shape = (args.train_batch, 3, args.img_size, args.img_size)
    img = torch.randn(shape, device=args.device)
    samples = []
    for index in range(args.train_batch):
        sample = DataSample().set_gt_label(index % NUM_CLASSES)
        sample.set_field((index + 1) % NUM_CLASSES, 'negative_label')
        samples.append(sample.to(args.device))

    def step() -> None:
        optimizer.zero_grad()
        losses = model.loss(img, samples)
        sum(losses[name] for name in losses if 'loss' in name).backward()
        optimizer.step()

    return step


def peak_memory(row: str, args: argparse.Namespace) -> float:
    """Peak memory (MB) of one training step above that after building.

    Measured in a process of its own on CPU, which started with no peak of
    other rows.
    """
    if args.device == 'cuda':
        step = train_step(row, args)
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - start) / 2**20
    command = [sys.executable, __file__, '--memory-of', row]
    for name in ('model', 'img_size', 'train_batch'):
        command += [f'--{name.replace("_", "-")}', str(getattr(args, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--model', default=CLIP_B16, help='timm name')
    parser.add_argument('--presets', nargs='+', default=['released'])
    parser.add_argument('--img-size', type=int, default=224)
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 16])
    parser.add_argument('--train-batch', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int)
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--skip-training', action='store_true')
    parser.add_argument('--out', help='also write the rows as JSON')
    parser.add_argument('--memory-of', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: torch sees no GPU here; leave it out')
    return args


def main() -> None:
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.memory_of:
        print(extra_memory(train_step(args.memory_of, args)))
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
