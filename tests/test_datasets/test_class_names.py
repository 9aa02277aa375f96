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
        ('12_roses', '12 roses'),
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


@pytest.mark.parametrize(
    'raw,wanted',
    [
        (['01_cat', '02_dog', '10-owl'], ('cat', 'dog', 'owl')),
        (['737-200', '737-300', 'A320'], ('737-200', '737-300', 'A320')),
        (['737-200', '747-400'], ('737-200', '747-400')),
        (['2_wheeler', 'truck'], ('2 wheeler', 'truck')),
        (['2_wheeler', '3_wheeler'], ('2_wheeler', '3_wheeler')),
        (['001.A_b', '017.C_d'], ('A b', 'C d')),
        ([], ()),
    ],
)
def test_only_an_index_is_left_out(raw, wanted) -> None:
    assert readable_names(raw) == wanted


def test_given_names() -> None:
    assert checked_names(['x', 'y'], ['a', 'b']) == ('x', 'y')
    with pytest.raises(ValueError, match='1 class names were given, but .* 2'):
        checked_names(['x'], ['a', 'b'])


@pytest.mark.parametrize(
    'given', [['c_d', '1.a_b', 'e'], ['e', 'c d', 'a b'], ('c d', 'a b', 'e')]
)
def test_names_in_another_order(given) -> None:
    found = ['1.a_b', 'c_d', 'e']
    message = f"label 0 is '{given[0]}' there and '.*' in the data"
    with pytest.raises(ValueError, match=message):
        checked_names(given, found)
    assert checked_names(found, found) == tuple(found)
    assert checked_names(['a b', 'c d', 'e'], found) == ('a b', 'c d', 'e')
    assert checked_names(['e', 'c d', 'x'], found) == ('e', 'c d', 'x')


def test_suggest() -> None:
    assert suggest('gul', ['gull', 'owl']) == "Did you mean 'gull'?"
    assert suggest('zzz', ['gull', 'owl']) == "Known: 'gull', 'owl'."
