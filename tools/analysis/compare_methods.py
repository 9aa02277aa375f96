"""Train and test configs over seeds, and print mean and deviation.

    python tools/analysis/compare_methods.py \
        linear=configs/baselines/linear_vit-s_cub.py \
        lore=configs/lore/vit-s_cub.py \
        --seeds 0 1 2 --work-dir work_dirs/cub-16shot --amp \
        --cfg-options train_dataloader.dataset.shots=16

Each run is ``tools/train.py`` and then ``tools/test.py`` on the checkpoint
that was best on the validation split. ``{seed}`` in an option stands for the
seed, which also draws the few shots that way. Finished runs are kept, so a
killed comparison goes on where it was.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1]


def run_one(
    config: str, folder: Path, seed: int, args: argparse.Namespace
) -> dict:
    """Metrics of one run on the test split; trains it if it is missing.

    Raises:
        SystemExit: Training or testing failed.
    """
    metrics = folder / 'metrics.json'
    if not metrics.is_file():
        options = [o.replace('{seed}', str(seed)) for o in args.cfg_options]
        common = ['--cfg-options', *options] if options else []
        common = common + (['--amp'] if args.amp else [])
        call(
            'train.py',
            config,
            ['--work-dir', folder, '--seed', seed, '--resume', *common],
            folder,
        )
        best = sorted(folder.glob('best_*.pth'))
        if not best:
            raise SystemExit(f'error: no best_*.pth in {folder}.')
        test = ['--work-dir', folder / 'test', '--out', metrics, *common]
        call('test.py', config, [best[-1], *test], folder)
    return json.loads(metrics.read_text())


def call(tool: str, config: str, options: list, folder: Path) -> None:
    """Run a tool; its output goes to a file in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f'{tool}.txt'
    command = [sys.executable, TOOLS / tool, config, *options]
    with log.open('a') as file:
        code = subprocess.call(
            [str(part) for part in command],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    if code:
        tail = log.read_text().strip().splitlines()[-1:]
        raise SystemExit(f'error: {tool} failed, see {log}: {tail}')


def table(results: dict[str, list[dict]]) -> str:
    """Mean and sample deviation of every number that all runs report."""
    keys = sorted(
        key
        for key, value in next(iter(results.values()))[0].items()
        if isinstance(value, (int, float)) or is_numbers(value)
    )
    lines = [f'| method | runs | {" | ".join(keys)} |']
    lines.append('|' + '---|' * (len(keys) + 2))
    for name, runs in results.items():
        cells = [summary([run[key] for run in runs]) for key in keys]
        lines.append(f'| {name} | {len(runs)} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def is_numbers(value: object) -> bool:
    """Whether ``value`` is a list of numbers, such as recall per class."""
    return isinstance(value, list) and all(
        isinstance(v, (int, float)) for v in value
    )


def summary(values: list) -> str:
    """``mean ± deviation``; of each place, for lists."""
    if isinstance(values[0], list):
        return ', '.join(
            f'{statistics.mean(v):.1f}' for v in zip(*values, strict=True)
        )
    text = f'{statistics.mean(values):.2f}'
    if len(values) > 1:
        text += f' ± {statistics.stdev(values):.2f}'
    return text


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('methods', nargs='+', metavar='NAME=CONFIG')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, required=True)
    parser.add_argument('--amp', action='store_true')
    parser.add_argument('--cfg-options', nargs='+', default=[])
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    results: dict[str, list[dict]] = {}
    for method in args.methods:
        name, _, config = method.partition('=')
        if not config:
            raise SystemExit(f'error: method must be NAME=CONFIG: {method!r}.')
        results[name] = []
        for seed in args.seeds:
            folder = args.work_dir / name / f'seed{seed}'
            metrics = run_one(config, folder, seed, args)
            results[name].append(metrics)
            print(f'{name} seed {seed}: {metrics}', flush=True)
    print(f'\n{table(results)}')


if __name__ == '__main__':
    main()
