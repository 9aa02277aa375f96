"""Folder names become words."""

import pytest

from lore_mm.datasets.class_names import (
    checked_names,
    readable_name,
    readable_names,
    suggest,
)


@pytest.mark.parametrize(
    'raw,wanted',
    [
        ('001.Black_footed_Albatross', 'Black footed Albatross'),
        ('golden_retriever', 'golden retriever'),
        ('12_roses', 'roses'),
        ('7', '7'),
        ('__', '__'),
        ('747', '747'),
        ('n01440764', 'n01440764'),
    ],
)
def test_readable_name(raw, wanted) -> None:
    assert readable_name(raw) == wanted


def test_names_that_would_become_equal_stay() -> None:
    names = readable_names(['a_b', '1.a_b', 'c_d'])
    assert names == ('a_b', '1.a_b', 'c d')


def test_given_names() -> None:
    assert checked_names(['x', 'y'], ['a', 'b']) == ('x', 'y')
    with pytest.raises(ValueError, match='1 class names were given, but .* 2'):
        checked_names(['x'], ['a', 'b'])


def test_suggest() -> None:
    assert suggest('gul', ['gull', 'owl']) == "Did you mean 'gull'?"
    assert suggest('zzz', ['gull', 'owl']) == "Known: 'gull', 'owl'."
