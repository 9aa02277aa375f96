"""Train on easy images, then on hard ones (LORE, section 4).

    python tools/easy_to_hard.py configs/lore/vit-s_cub.py --shots 16 \
        --work-dir work_dirs/easy-to-hard

Stage one trains on the easiest images of each class, by herding on the CLS
tokens of the bare Black Box. Its best model then scores all training images;
stage two goes on from it with the hardest of each class, at a rate of 0.0005
to 0.0001 for 5 epochs. Both models are tested. Started again, the command
goes on where it was stopped; with other settings it refuses the folder.

The config's training set must take all images (``shots=None``). Options for
one stage alone: ``--stage-one KEY=VALUE``, ``--stage-two KEY=VALUE``.
``--keep-easy`` trains stage two on the easy and the hard images. ``--processes
4`` trains by torchrun on so many GPUs, which divide the batch among them.
"""

import argparse
import json
from pathlib import Path

from lore_mm.datasets.records import write_record
from lore_mm.engine.failures import run_main
from lore_mm.engine.launch import write_metrics
from lore_mm.engine.run_settings import keep_settings, settings_of
from lore_mm.engine.tool_process import (
    ToolError,
    best_checkpoint,
    read_config,
    run_tool,
    share_batch,
    train_and_test,
)

TOOLS = Path(__file__).resolve().parent
INDICES = 'train_dataloader.dataset.indices_file'
# Not settings.json: tools/benchmark.py keeps its own in the same folder.
SETTINGS = 'stages.json'
# Arguments that change a figure, beside those of stage two.
RECIPE = ('shots', 'seed', 'amp', 'keep_easy', 'cfg_options', 'stage_one')
# As published; the schedule of the config keeps its other values.
STAGE_TWO = (
    'optim_wrapper.optimizer.lr=0.0005',
    'param_scheduler.eta_min=0.0001',
    'train_cfg.max_epochs=5',
)


def select(
    args: argparse.Namespace, how: str, checkpoint: Path | None
) -> Path:
    """Choose images unless they were chosen; returns the file."""
    out = args.work_dir / f'{how}.json'
    if out.is_file():
        return out
    command = [args.config, '--how', how, '--shots', args.shots, '--out', out]
    command += ['--work-dir', args.work_dir / f'select_{how}']
    if args.cfg_options:
        command += ['--cfg-options', *args.cfg_options]
    if args.amp:
        command.append('--amp')
    if checkpoint is not None:
        command += ['--checkpoint', checkpoint]
    log = args.work_dir / 'select_images.py.txt'
    run_tool(TOOLS / 'select_images.py', command, log)
    return out


def check_settings(args: argparse.Namespace) -> None:
    """Refuse a work folder of other settings, before anything is written.

    Where data lies and the number of processes change no figure.

    Raises:
        ValueError: The folder has other settings or none, or the batch
            cannot be divided among the processes.
    """
    for more in (args.stage_one, args.stage_two):
        options = [*args.cfg_options, *more]
        share_batch(args.config, options, args.processes)
    note = args.work_dir / SETTINGS
    if (args.work_dir / 'easiest.json').exists() and not note.exists():
        raise ValueError(
            f"'{args.work_dir}' has chosen images, but no {SETTINGS} that "
            'tells with which settings: delete it to run it anew, or name '
            'another --work-dir.'
        )
    facts = {name: getattr(args, name) for name in RECIPE}
    facts['stage_two'] = [*STAGE_TWO, *args.stage_two]
    keep_settings(note, settings_of(read_config(args.config), **facts))


def stage(
    args: argparse.Namespace, name: str, indices: Path, options: list[str]
) -> dict:
    """Train and test one stage unless it was done; its metrics."""
    return train_and_test(
        TOOLS,
        args.config,
        args.work_dir / name,
        [*args.cfg_options, f'{INDICES}={indices}', *options],
        seed=args.seed,
        amp=args.amp,
        processes=args.processes,
    )


def with_easy(easy: Path, hard: Path) -> Path:
    """A file with the easy and the hard images."""
    records = [json.loads(file.read_text()) for file in (easy, hard)]
    both = sorted({i for record in records for i in record['indices']})
    out = hard.with_name('easiest_and_hardest.json')
    write_record(out, {**records[1], 'indices': both})
    return out


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='path or name of a config')
    parser.add_argument('--shots', type=int, required=True, help='per stage')
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--amp', action='store_true')
    parser.add_argument('--processes', type=int, default=1)
    parser.add_argument('--keep-easy', action='store_true')
    for name in ('--cfg-options', '--stage-one', '--stage-two'):
        parser.add_argument(name, nargs='+', default=[], metavar='KEY=VALUE')
    return parser.parse_args()


def run(args: argparse.Namespace) -> dict:
    """Both stages; metrics of stage two, and of stage one by ``stage_one``."""
    check_settings(args)
    easy = select(args, 'easiest', None)
    first = stage(args, 'stage_one', easy, args.stage_one)
    best = best_checkpoint(args.work_dir / 'stage_one')
    hard = select(args, 'hardest', best)
    if args.keep_easy:
        hard = with_easy(easy, hard)
    options = [*STAGE_TWO, f'load_from={best}', *args.stage_two]
    second = stage(args, 'stage_two', hard, options)
    return {**second, **{f'stage_one/{k}': v for k, v in first.items()}}


def main() -> None:
    args = parse_args()
    args.work_dir = args.work_dir.resolve()
    try:
        metrics = run(args)
    except ToolError as error:
        raise SystemExit(f'error: {error}') from error
    write_metrics(metrics, args.work_dir / 'metrics.json')
    for name, value in metrics.items():
        print(f'{name}: {value}')


if __name__ == '__main__':
    run_main(main)
