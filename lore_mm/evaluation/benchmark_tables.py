"""Tables of a benchmark: mean and deviation over seeds, published figures."""

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

METRIC = 'accuracy/top1'
MEAN = 'mean'
_HEAD = ('shots', 'method', 'weights')


class Figure(NamedTuple):
    """A figure over seeds.

    Attributes:
        mean (float): In per cent.
        deviation (float | None): Sample deviation; None for one seed and for
            published figures.
        count (int): Seeds; 0 for a published figure.
    """

    mean: float
    deviation: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> 'Figure':
        """Mean and sample deviation of at least one value."""
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), deviation, len(values))

    def text(self, plus_minus: str = '±') -> str:
        """``71.25 ± 0.30``, or the mean alone."""
        if self.deviation is None:
            return f'{self.mean:.2f}'
        return f'{self.mean:.2f} {plus_minus} {self.deviation:.2f}'


@dataclass(frozen=True)
class Line:
    """A row of the table.

    Attributes:
        shots (int | None): Images of each class; None is all.
        method (str): Its title.
        weights (float | None): Trained weights, the mean over data sets.
        figures (dict[str, Figure]): By data set, and ``'mean'`` where all
            data sets have one.
        published (bool): Whether the figures are from a paper.
    """

    shots: int | None
    method: str
    weights: float | None
    figures: dict[str, Figure]
    published: bool = False


@dataclass(frozen=True)
class Table:
    """A table: a line for each method and number of shots.

    Attributes:
        columns (dict[str, str]): Titles by data set.
        lines (list[Line]): Ordered by shots, then as the file has them.
        sources (list[str]): Where published figures are from.
    """

    columns: dict[str, str]
    lines: list[Line]
    sources: list[str]

    @classmethod
    def of(
        cls,
        spec: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
        published: Mapping[str, Any] | None = None,
    ) -> 'Table':
        """Collect the rows of a benchmark.

        Args:
            spec (Mapping): The benchmark file.
            rows (Sequence[Mapping]): What ``read_result`` returned.
            published (Mapping, optional): Content of ``published.yaml``; the
                lines for methods, data sets and Black Box of ``spec`` are
                put beside ours.
        """
        columns = {
            name: data.get('title', name)
            for name, data in spec['data_sets'].items()
        }
        lines = []
        for method, how in spec['methods'].items():
            own = [row for row in rows if row['method'] == method]
            for shots in sorted({row['shots'] for row in own}, key=_order):
                some = [row for row in own if row['shots'] == shots]
                title = how.get('title', method)
                lines.append(_line(title, shots, some, columns))
                lines += _stage_one(title, shots, some, columns)
        found, sources = _published(spec, published or {}, columns)
        lines = sorted([*lines, *found], key=lambda line: _order(line.shots))
        return cls(columns, lines, sources)


def _order(shots: int | None) -> float:
    return math.inf if shots is None else shots


def _line(
    title: str,
    shots: int | None,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    metric: str = METRIC,
) -> Line:
    """Mean and deviation over seeds, for each data set and over them."""
    values: dict[str, dict[int, float]] = {}
    for row in rows:
        own = values.setdefault(row['data_set'], {})
        own[row['seed']] = row['metrics'][metric]
    figures = {
        name: Figure.of(list(values[name].values()))
        for name in columns
        if name in values
    }
    seeds = [set(own) for own in values.values()]
    common = sorted(set.intersection(*seeds)) if seeds else []
    if set(values) == set(columns) and common:
        means = [
            statistics.fmean(own[seed] for own in values.values())
            for seed in common
        ]
        figures[MEAN] = Figure.of(means)
    weights = [r['trained_weights'] for r in rows if 'trained_weights' in r]
    mean_weights = statistics.fmean(weights) if weights else None
    return Line(shots, title, mean_weights, figures)


def _stage_one(
    title: str, shots: int | None, rows: Sequence, columns: Mapping
) -> list[Line]:
    """A line for the first of two stages, where there are two."""
    metric = f'stage_one/{METRIC}'
    rows = [row for row in rows if metric in row['metrics']]
    if not rows:
        return []
    return [_line(f'{title}, stage one', shots, rows, columns, metric)]


def _published(
    spec: Mapping[str, Any], published: Mapping[str, Any], columns: Mapping
) -> tuple[list[Line], list[str]]:
    """Lines and sources that belong beside the benchmark's."""
    lines, used = [], {}
    shots_here = {0, *spec.get('shots', [None])}
    for entry in published.get('figures', []):
        wanted = entry['method'] in spec['methods']
        same = entry['black_box'] == spec.get('black_box')
        if not (wanted and same and entry['shots'] in shots_here):
            continue
        figures = _published_figures(entry, columns)
        if not figures:
            continue
        number = used.setdefault(entry['source'], len(used) + 1)
        how = spec['methods'][entry['method']]
        title = how.get('title', entry['method'])
        title += ', stage one' if entry.get('stage') == 'one' else ''
        title = f'{title}, published [{number}]'
        lines.append(Line(entry['shots'], title, None, figures, True))
    sources = [f'[{n}] {published["sources"][key]}' for key, n in used.items()]
    return lines, sources


def _published_figures(
    entry: Mapping[str, Any], columns: Mapping[str, str]
) -> dict[str, Figure]:
    """Figures of the data sets at hand; their mean where all are known.

    The paper's own mean counts only where it is over the same data sets.
    """
    top1 = dict(entry['top1'])
    mean = top1.pop(MEAN, None)
    figures = {
        n: Figure(float(top1[n]), None, 0) for n in columns if n in top1
    }
    if set(entry.get('sets', top1)) == set(columns) and mean is not None:
        figures[MEAN] = Figure(float(mean), None, 0)
    elif len(figures) == len(columns):
        own = statistics.fmean(each.mean for each in figures.values())
        figures[MEAN] = Figure(own, None, 0)
    return figures


# -- output ---------------------------------------------------------------
def _grid(table: Table, plus_minus: str) -> list[list[str]]:
    """Cells of the table, its head first."""
    names = [*table.columns, MEAN]
    head = [*_HEAD, *table.columns.values(), MEAN]
    grid = [head]
    for line in table.lines:
        cells = [line.figures.get(name) for name in names]
        grid.append(
            [
                'all' if line.shots is None else str(line.shots),
                line.method,
                '' if line.weights is None else short_number(line.weights),
                *('' if c is None else c.text(plus_minus) for c in cells),
            ]
        )
    return grid


def short_number(number: float) -> str:
    """Three digits: ``2.71 M``, ``77 k``, ``0``."""
    if number >= 1e6:
        return f'{number / 1e6:.3g} M'
    return f'{number / 1e3:.3g} k' if number >= 1e3 else f'{number:.3g}'


def to_markdown(table: Table) -> str:
    """The table in Markdown, sources below."""
    head, *lines = _grid(table, '±')
    rule = ['---:', '---', *['---:'] * (len(head) - 2)]
    text = '\n'.join(
        f'| {" | ".join(cells)} |' for cells in [head, rule, *lines]
    )
    return '\n\n'.join([text, *table.sources])


def to_csv(table: Table) -> str:
    """The table as CSV: mean and deviation in columns of their own."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    names = [*table.columns, MEAN]
    pairs = [x for name in names for x in (name, f'{name}_deviation')]
    writer.writerow([*_HEAD, 'published', 'seeds', *pairs])
    for line in table.lines:
        cells = []
        for name in names:
            figure = line.figures.get(name)
            cells += ['', ''] if figure is None else figure[:2]
        count = max((f.count for f in line.figures.values()), default=0)
        shots = 'all' if line.shots is None else line.shots
        start = [shots, line.method, line.weights, int(line.published), count]
        writer.writerow([*start, *cells])
    return file.getvalue()


def to_latex(table: Table) -> str:
    """The table as LaTeX, with the rules of ``booktabs``."""
    head, *lines = _grid(table, r'$\pm$')
    rows = [
        ' & '.join(_escape(cell) for cell in cells) + r' \\' for cells in lines
    ]
    columns = 'rl' + 'r' * (len(head) - 2)
    title = ' & '.join(_escape(cell) for cell in head) + r' \\'
    parts = [rf'\begin{{tabular}}{{{columns}}}', r'\toprule', title]
    parts += [r'\midrule', *rows, r'\bottomrule', r'\end{tabular}']
    return '\n'.join([*parts, *(f'% {_escape(s)}' for s in table.sources)])


def _escape(cell: str) -> str:
    for mark in '&%_#':
        cell = cell.replace(mark, f'\\{mark}')
    return cell
