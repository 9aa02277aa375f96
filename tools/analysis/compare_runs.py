"""Print the metrics of several test runs side by side, as Markdown.

    python tools/analysis/compare_runs.py "linear probe=A.json" LORE=B.json

Each file is what ``tools/test.py --out`` writes. Metrics with one number per
class get one row per class. With two runs a last column gives the second minus
the first.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

Rows = dict[str, float]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'runs', nargs='+', metavar='TITLE=FILE', help='title and metrics'
    )
    parser.add_argument(
        '--classes', nargs='+', help='names for metrics that are plain lists'
    )
    return parser.parse_args(argv)


def split_run(text: str) -> tuple[str, Path]:
    """Split ``TITLE=FILE``."""
    title, equals, file = text.partition('=')
    if not (title and equals and file):
        raise ValueError(f'a run must be given as TITLE=FILE, got {text!r}.')
    return title, Path(file)


def read_rows(file: Path, classes: Sequence[str] | None = None) -> Rows:
    """Read a metrics file into one number per row.

    Args:
        file (Path): JSON, from metric to a number, or to a list or mapping
            with one number per class.
        classes (Sequence[str], optional): Names for the items of a list;
            numbered if None.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not JSON, no mapping, or no numbers in it.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f'{file} does not exist; write it with tools/test.py --out.'
        )
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except json.JSONDecodeError as error:
        raise ValueError(f'{file} is not JSON: {error}') from error
    if not isinstance(content, dict):
        raise ValueError(f'{file} must hold a mapping of metrics.')
    rows: Rows = {}
    for name, value in content.items():
        rows.update(flatten(name, value, classes))
    if not rows:
        raise ValueError(f'{file} holds no metrics that are numbers.')
    return rows


def flatten(
    name: str, value: object, classes: Sequence[str] | None = None
) -> Rows:
    """Rows of one metric; what is no number has none."""
    if isinstance(value, bool):
        return {}
    if isinstance(value, int | float):
        return {name: float(value)}
    if isinstance(value, list):
        names = range(len(value)) if classes is None else classes
        if len(names) != len(value):
            raise ValueError(
                f'{name} has {len(value)} classes, got {len(names)} names.'
            )
        value = dict(zip(names, value, strict=True))
    if isinstance(value, dict):
        nested: Rows = {}
        for key, item in value.items():
            nested.update(flatten(f'{name}: {key}', item, classes))
        return nested
    return {}


def table(runs: dict[str, Rows]) -> str:
    """Markdown table with a column per run and a row per number."""
    names = dict.fromkeys(name for rows in runs.values() for name in rows)
    head = ['', *runs]
    pair = list(runs.values()) if len(runs) == 2 else None
    if pair:
        head.append('difference')
    lines = [head, ['---', *(['---:'] * (len(head) - 1))]]
    for name in names:
        cells = [rows.get(name) for rows in runs.values()]
        line = [name, *('' if c is None else f'{c:.2f}' for c in cells)]
        if pair:
            known = None not in cells
            line.append(f'{cells[1] - cells[0]:+.2f}' if known else '')
        lines.append(line)
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Read, compare, print."""
    args = parse_args(argv)
    runs = {}
    for text in args.runs:
        title, file = split_run(text)
        runs[title] = read_rows(file, args.classes)
    print(table(runs))


if __name__ == '__main__':
    try:
        main()
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None
