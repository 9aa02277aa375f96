"""Sizes that keep the code readable."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = sorted([*ROOT.glob('lore_mm/**/*.py'), *ROOT.glob('tools/**/*.py')])
LEAVES = [
    file
    for file in sorted(ROOT.glob('configs/**/*.py'))
    if '_base_' not in file.parts
]

MAX_FILE = 300
MAX_FUNCTION = 45
MAX_LEAF = 40


def _name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def _body_lines(function: ast.FunctionDef) -> int:
    """Lines of a function without its signature and docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return function.end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize('file', CODE, ids=_name)
def test_files_and_functions_are_short(file) -> None:
    text = file.read_text()
    assert len(text.splitlines()) < MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert _body_lines(node) < MAX_FUNCTION, node.name


def test_leaf_configs_are_short_and_say_what_they_are() -> None:
    for file in LEAVES:
        text = file.read_text()
        code = ast.parse(text)
        said = ast.get_docstring(code)
        assert said, f'{_name(file)} has no docstring'
        figures = ('Figures: ', 'Published', 'No published figure')
        assert any(word in said for word in figures), _name(file)
        assert len(text.splitlines()) < MAX_LEAF, _name(file)
