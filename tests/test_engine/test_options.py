"""Values of --cfg-options."""

import argparse

import pytest

from lore_mm.engine.options import OptionAction


@pytest.fixture
def read():
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction)

    def parse(*words):
        return parser.parse_args(['--cfg-options', *words]).cfg_options

    return parse


@pytest.mark.parametrize(
    'text,value',
    [
        ('1', 1),
        ('1e-3', 1e-3),
        ('true', True),
        ('None', None),
        ('abc', 'abc'),
        ("'abc'", 'abc'),
        ('1,2', [1, 2]),
        ('1, 2', [1, 2]),
        ('[1, 2]', [1, 2]),
        ('[ (1, 2), [a, b] ]', [(1, 2), ['a', 'b']]),
        ('(1,2)', (1, 2)),
        ('x=1', 'x=1'),
        ('/data/flat pics', '/data/flat pics'),
        ('/data/my (old) pics', '/data/my (old) pics'),
        ('a photo of a {}, a type of bird.',) * 2,
        ('"a photo of a {}."', 'a photo of a {}.'),
        ("['a {}.', 'the {}, a bird.']", ['a {}.', 'the {}, a bird.']),
    ],
)
def test_values(read, text, value):
    assert read(f'a.b={text}') == {'a.b': value}


def test_several(read):
    assert read('a=1', 'b.c=x y') == {'a': 1, 'b.c': 'x y'}


@pytest.mark.parametrize(
    'text', ['a', 'a=[1,2', 'a=dict(b=1)', 'a=[a b, c]', "a=['x y', z]"]
)
def test_what_cannot_be_read_is_named(read, text):
    with pytest.raises(argparse.ArgumentError) as caught:
        read(text)
    assert repr(text) in str(caught.value)
    assert 'no KEY=VALUE' in str(caught.value)
