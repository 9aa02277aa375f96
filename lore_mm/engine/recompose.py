"""The same recipe for another data set or Black Box."""

import ast
from pathlib import Path

_BASE = '_base_'


def recompose(
    leaf: str | Path, out: str | Path, swaps: dict[str, str | Path]
) -> Path:
    """Write a copy of a leaf config with other base files.

    A leaf names base files for its Black Box, model, data set, schedule and
    run time; everything that depends on them is taken from them, so that
    another file of the same folder can take the place of one. A leaf that
    stands on another leaf, as ablations do, is followed.

    Args:
        leaf (str | Path): A shipped leaf, or one made alike.
        out (str | Path): The file to write; leaves below it are written
            beside it.
        swaps (dict[str, str | Path]): Name of a folder in ``_base_``, such as
            ``'datasets'``, to the file that takes the place of the leaf's.

    Returns:
        Path: ``out``.

    Raises:
        ValueError: The leaf has no ``_base_``, or none of a folder to swap.
    """
    leaf, out = Path(leaf), Path(out)
    text = leaf.read_text('utf-8')
    node = _assignment(ast.parse(text), leaf)
    value = ast.literal_eval(node.value)
    bases = [value] if isinstance(value, str) else list(value)
    swapped: set[str] = set()
    paths = []
    for number, base in enumerate(bases):
        path = (leaf.parent / base).resolve()
        folder = path.parent.name
        if path.parent.parent.name == _BASE and folder in swaps:
            swapped.add(folder)
            path = Path(swaps[folder]).resolve()
        elif _BASE not in path.parts:
            parent = out.with_name(f'{out.stem}_base{number or ""}.py')
            path = recompose(path, parent, swaps).resolve()
            swapped |= set(swaps)
        paths.append(path)
    missing = sorted(set(swaps) - swapped)
    if missing:
        raise ValueError(
            f"'{leaf}' names no file of _base_/{missing[0]} that another "
            'could take the place of.'
        )
    lines = text.splitlines()
    names = [f'    {str(path)!r},' for path in paths]
    lines[node.lineno - 1 : node.end_lineno] = [f'{_BASE} = [', *names, ']']
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text('\n'.join(lines) + '\n', 'utf-8')
    return out


def _assignment(tree: ast.Module, leaf: Path) -> ast.Assign:
    """The assignment of ``_base_``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == _BASE
            for target in node.targets
        ):
            return node
    raise ValueError(f"'{leaf}' has no {_BASE}: it is no leaf config.")
