"""Train and test configs over seeds, and print mean and deviation.

    python tools/analysis/compare_methods.py \
        linear=configs/baselines/linear_vit-s_cub.py \
        lore=configs/lore/vit-s_cub.py \
        --recipe slow optim_wrapper.optimizer.lr=1e-3 \
        --recipe fast optim_wrapper.optimizer.lr=3e-3 \
        --seeds 0 1 2 --work-dir work_dirs/cub-16shot --amp \
        --cfg-options train_dataloader.dataset.shots=16

Each run is ``tools/train.py`` and then ``tools/test.py`` on the checkpoint
that was best on the validation split. With several recipes every method is
trained with each of them, and only the recipe with the best mean on the
validation split is tested: all methods get the same budget, and the test
split chooses nothing. ``--recipe NAME@METHOD ...`` is for one method alone.

``{seed}`` in an option stands for the seed, which also draws the few shots
that way. Finished runs are kept, so a killed comparison goes on where it was.
"""

import argparse
import json
import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from lore_mm.engine.config_file import read_config_file
from lore_mm.engine.config_keys import ConfigError
from lore_mm.engine.run_settings import keep_settings, settings_of
from lore_mm.engine.tool_process import ToolError, best_checkpoint, run_tool

TOOLS = Path(__file__).resolve().parents[1]


class Run(NamedTuple):
    """One training: a method by one recipe with one seed."""

    method: str
    config: str
    recipe: str
    options: tuple[str, ...]
    seed: int
    folder: Path


def plan(args: argparse.Namespace) -> list[Run]:
    """All runs that ``args`` ask for.

    Raises:
        SystemExit: A method is not NAME=CONFIG, or has no recipe.
    """
    runs = []
    for method in args.methods:
        name, _, config = method.partition('=')
        if not config:
            raise SystemExit(f'error: method must be NAME=CONFIG: {method!r}.')
        recipes = recipes_of(name, args.recipe)
        for recipe, options in recipes.items():
            folder = args.work_dir / name / recipe
            runs += [
                Run(name, config, recipe, options, s, folder / f'seed{s}')
                for s in args.seeds
            ]
    return runs


def recipes_of(method: str, given: list[list[str]]) -> dict[str, tuple]:
    """Options of each recipe of a method, by the recipe's name.

    Raises:
        SystemExit: All recipes are for other methods.
    """
    if not given:
        return {'default': ()}
    found = {}
    for name, *options in given:
        recipe, _, only = name.partition('@')
        if only in ('', method):
            found[recipe] = tuple(options)
    if not found:
        raise SystemExit(f'error: no --recipe is for {method!r}.')
    return found


def train(run: Run, args: argparse.Namespace) -> float:
    """Train unless it is done; the best accuracy on the validation split.

    Raises:
        SystemExit: Training failed.
    """
    same_settings(run, args)
    done = run.folder / 'validation.json'
    if not done.is_file():
        options = ['--work-dir', run.folder, '--seed', run.seed, '--resume']
        call('train.py', run, [*options, *common(run, args)])
        done.write_text(json.dumps(best_validation(run.folder)))
    return json.loads(done.read_text())


def same_settings(run: Run, args: argparse.Namespace) -> None:
    """Write a run's settings down, or see that they are those of before.

    What the config holds counts, not its name: an edited one is another.

    Raises:
        SystemExit: The folder holds a run with other settings, or the
            config cannot be read.
    """
    options = common(run, args)
    try:
        cfg = read_config_file(run.config)  # LORE_IMG_SIZE is in it
        keep_settings(
            run.folder / 'settings.json', settings_of(cfg, options=options)
        )
    except (FileNotFoundError, ConfigError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None


def test(run: Run, args: argparse.Namespace) -> dict:
    """Metrics of the best checkpoint on the test split.

    Raises:
        SystemExit: Testing failed.
    """
    metrics = run.folder / 'metrics.json'
    if not metrics.is_file():
        options = ['--work-dir', run.folder / 'test', '--out', metrics]
        best = best_checkpoint(run.folder)
        call('test.py', run, [best, *options, *common(run, args)])
    return json.loads(metrics.read_text())


def common(run: Run, args: argparse.Namespace) -> list[str]:
    """Options that training and testing share."""
    options = [*args.cfg_options, *run.options]
    options = [o.replace('{seed}', str(run.seed)) for o in options]
    given = ['--cfg-options', *options] if options else []
    return given + (['--amp'] if args.amp else [])


def best_validation(folder: Path, key: str = 'accuracy/top1') -> float:
    """Highest value of ``key`` in the logs of a run, resumed or not."""
    lines = [
        json.loads(line)
        for file in folder.glob('*/vis_data/scalars.json')
        for line in file.read_text().splitlines()
    ]
    return max(line[key] for line in lines if key in line)


def call(tool: str, run: Run, options: list) -> None:
    """Run a tool; its output goes to a file in the folder of the run.

    Raises:
        SystemExit: It failed.
    """
    try:
        run_tool(
            TOOLS / tool, [run.config, *options], run.folder / f'{tool}.txt'
        )
    except ToolError as error:
        raise SystemExit(f'error: {error}') from None


def choose(runs: list[Run], scores: list[float]) -> dict[str, str]:
    """The recipe of each method with the best mean validation score.

    The first of equals, in the order given.
    """
    means: dict[str, dict[str, list[float]]] = {}
    for run, score in zip(runs, scores, strict=True):
        recipes = means.setdefault(run.method, {})
        recipes.setdefault(run.recipe, []).append(score)
    return {
        method: max(recipes, key=lambda r: statistics.mean(recipes[r]))
        for method, recipes in means.items()
    }


def validation_table(runs: list[Run], scores: list[float]) -> str:
    """Validation scores of each recipe; the chosen one is marked."""
    chosen = choose(runs, scores)
    found: dict[tuple[str, str], list[float]] = {}
    for run, score in zip(runs, scores, strict=True):
        found.setdefault((run.method, run.recipe), []).append(score)
    lines = ['| method | recipe | validation | chosen |', '|---|---|---|---|']
    for (method, recipe), values in found.items():
        mark = 'yes' if chosen[method] == recipe else ''
        lines.append(f'| {method} | {recipe} | {summary(values)} | {mark} |')
    return '\n'.join(lines)


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
    parser.add_argument(
        '--jobs', type=int, default=1, help='runs at the same time'
    )
    parser.add_argument(
        '--recipe',
        action='append',
        nargs='+',
        default=[],
        metavar=('NAME[@METHOD]', 'KEY=VALUE'),
        help='options to try; the validation split chooses among recipes',
    )
    parser.add_argument('--cfg-options', nargs='+', default=[])
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    runs = plan(args)
    if args.jobs > 1:  # or their threads would get in each other's way
        os.environ.setdefault(
            'OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // args.jobs))
        )
    with ThreadPoolExecutor(args.jobs) as pool:
        scores = list(pool.map(lambda run: train(run, args), runs))
        print(validation_table(runs, scores), flush=True)
        chosen = choose(runs, scores)
        kept = [run for run in runs if chosen[run.method] == run.recipe]
        tested = list(pool.map(lambda run: test(run, args), kept))
    results: dict[str, list[dict]] = {}
    for run, metrics in zip(kept, tested, strict=True):
        results.setdefault(run.method, []).append(metrics)
        print(f'{run.method} seed {run.seed}: {metrics}')
    print(f'\n{table(results)}')


if __name__ == '__main__':
    main()
