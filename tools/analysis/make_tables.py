"""Tables and plots of a benchmark, beside published figures.

    python tools/analysis/make_tables.py configs/benchmark/small.yaml \
        --out docs/benchmark

Reads ``results.json`` from the work folder of the benchmark file (or
``--results``), prints the table as Markdown, and writes ``table.md``,
``table.csv``, ``table.tex``, ``shots.png`` (accuracy against shots) and
``weights.png`` (accuracy against trained weights) to ``--out``. Published
figures come from ``configs/benchmark/published.yaml``.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import yaml

from lore_mm.engine.benchmark import load_benchmark
from lore_mm.engine.failures import run_main
from lore_mm.evaluation.benchmark_tables import (
    MEAN,
    Line,
    Table,
    to_csv,
    to_latex,
    to_markdown,
)
from lore_mm.utils.paths import config_roots

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402

MARKS = 'osD^vP*Xph<>'


def load_published(path: Path | None) -> dict:
    """Published figures; the shipped ones where no file is given."""
    if path is None:
        known = [root / 'configs/benchmark' for root in config_roots()]
        files = [folder / 'published.yaml' for folder in known]
        path = next(file for file in files if file.is_file())
    return yaml.safe_load(path.read_text('utf-8'))


def with_mean(table: Table) -> dict[str, list[Line]]:
    """Our lines that have a mean over all data sets, by method."""
    found: dict[str, list[Line]] = {}
    for line in table.lines:
        if not line.published and MEAN in line.figures:
            found.setdefault(line.method, []).append(line)
    return found


def plot_shots(table: Table, path: Path) -> None:
    """Mean accuracy over the data sets against the number of shots."""
    figure, axes = plt.subplots(figsize=(6, 4))
    for mark, (method, lines) in zip(
        MARKS * 9, with_mean(table).items(), strict=False
    ):
        few = [line for line in lines if line.shots is not None]
        if not few:
            continue
        figures = [line.figures[MEAN] for line in few]
        axes.errorbar(
            [line.shots for line in few],
            [each.mean for each in figures],
            yerr=[each.deviation or 0 for each in figures],
            marker=mark,
            capsize=3,
            label=method,
        )
    shots = sorted({s for line in table.lines if (s := line.shots)})
    axes.set_xscale('symlog', base=2, linthresh=1)
    axes.set_xticks(shots, [str(s) for s in shots])
    axes.minorticks_off()
    finish(figure, axes, 'images per class', path)


def plot_weights(table: Table, path: Path) -> None:
    """Mean accuracy against trained weights, for the most shots."""
    figure, axes = plt.subplots(figsize=(6, 4))
    shots = set()
    for mark, (method, lines) in zip(
        MARKS * 9, with_mean(table).items(), strict=False
    ):
        line = lines[-1]
        if not line.weights:
            continue
        axes.errorbar(
            line.weights,
            line.figures[MEAN].mean,
            yerr=line.figures[MEAN].deviation or 0,
            marker=mark,
            linestyle='none',
            capsize=3,
            label=method,
        )
        shots.add(line.shots)
    axes.set_xscale('log')
    label = 'trained weights'
    if len(shots) == 1 and None not in shots:
        label += f' ({shots.pop()} images per class)'
    finish(figure, axes, label, path)


def finish(figure: plt.Figure, axes: plt.Axes, label: str, path: Path) -> None:
    """Labels, legend and grid; write the file."""
    axes.set_xlabel(label)
    axes.set_ylabel('mean top-1 accuracy (%)')
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            fontsize='small', loc='center left', bbox_to_anchor=(1, 0.5)
        )
    figure.savefig(path, dpi=150, bbox_inches='tight')
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('file', type=Path, help='benchmark file, YAML')
    parser.add_argument(
        '--results',
        type=Path,
        help='results.json, or the folder that holds it',
    )
    parser.add_argument('--published', type=Path)
    parser.add_argument('--out', type=Path, help='folder for files')
    args = parser.parse_args(argv)
    spec = load_benchmark(args.file)
    folder = Path(spec.get('work_dir', Path('work_dirs', args.file.stem)))
    results = args.results or folder
    if results.is_dir():
        results /= 'results.json'
    if not results.is_file():
        raise SystemExit(
            f'error: {results} does not exist; tools/benchmark.py writes it.'
        )
    rows = json.loads(results.read_text('utf-8'))['rows']
    table = Table.of(spec, rows, load_published(args.published))
    print(to_markdown(table))
    if args.out is None:
        return
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ('table.md', to_markdown(table)),
        ('table.csv', to_csv(table)),
        ('table.tex', to_latex(table)),
    ):
        (args.out / name).write_text(text.rstrip('\n') + '\n', 'utf-8')
    plot_shots(table, args.out / 'shots.png')
    plot_weights(table, args.out / 'weights.png')


if __name__ == '__main__':
    run_main(main)
