"""Read CSV files of pairs, with errors that name file and line."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path


def read_table(
    path: Path, required: Iterable[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV file by the names in its first line.

    Args:
        path (Path): The file.
        required (Iterable[str]): Columns that must be there.

    Yields:
        tuple[int, dict[str, str]]: Number of the line and its cells.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column is missing, a line is short or long, the file is
            no text or has no rows.
    """
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist.")
    count = 0
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            reader = csv.DictReader(file)
            missing = set(required) - set(reader.fieldnames or ())
            if missing:
                raise ValueError(
                    f"'{path}' has no column {', '.join(sorted(missing))}."
                )
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(
                        f"'{path}', line {reader.line_num}: expected "
                        f'{len(reader.fieldnames)} cells.'
                    )
                count += 1
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"'{path}' is not a CSV file: {error}.") from error
    if not count:
        raise ValueError(f"'{path}' has no rows.")


def numbers(
    row: dict[str, str], columns: Iterable[str], path: Path, line: int
) -> list[float]:
    """Cells of a row as numbers.

    Raises:
        ValueError: A cell is no number; file, line and column are named.
    """
    values = []
    for column in columns:
        try:
            values.append(float(row[column]))
        except ValueError as error:
            raise ValueError(
                f"'{path}', line {line}: {column} must be a number, got "
                f'{row[column]!r}.'
            ) from error
    return values
