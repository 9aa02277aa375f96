"""Values of --cfg-options."""

import argparse

import pytest
from mmengine.config import Config

from lore_mm.engine import ConfigError
from lore_mm.engine.options import OptionAction, merge_options


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
        ("[{'type': 'A'}, {'type': 'B'}]", [dict(type='A'), dict(type='B')]),
        ("[{'type':'A','b':[1]}]", [dict(type='A', b=[1])]),
        ('[a{},b]', ['a{}', 'b']),
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


def test_misspelt_option_is_refused():
    cfg = Config(dict(model=dict(head=dict()), env_cfg=dict()))
    with pytest.raises(ConfigError, match="'modle' .did you mean 'model'"):
        merge_options(cfg, {'modle.backbone.white_box': None})
    with pytest.raises(ConfigError, match="'cudnn_benchmrk' .* in env_cfg"):
        merge_options(cfg, {'env_cfg.cudnn_benchmrk': True})


def test_keys_of_an_earlier_version_are_left_alone():
    """Only what the options name is judged; they may change such a key."""
    cfg = Config(dict(model=dict(a=1), old_key=dict(a=1), _mine=1))
    merge_options(cfg, {'model.a': 2})
    merge_options(cfg, {'old_key.a': 3, '_mine': 4})
    assert (cfg.model.a, cfg.old_key.a, cfg._mine) == (2, 3, 4)
