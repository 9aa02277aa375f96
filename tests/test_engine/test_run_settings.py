"""Settings of a run: what counts, and what a folder of others does."""

import json

import pytest
from mmengine.config import Config

from lore_mm.engine.run_settings import keep_settings, settings_of


def test_places_do_not_count() -> None:
    cfg = Config(
        dict(
            work_dir='here',
            train=dict(data_root='/data', sizes=[1, dict(a=2)], none=[]),
        )
    )
    found = settings_of(cfg, seed=0, options=('a=1',))
    assert found == {
        'train.sizes.0': 1,
        'train.sizes.1.a': 2,
        'train.none': '[]',
        'seed': 0,
        'options.0': 'a=1',
    }


def test_same_settings_are_kept_as_they_are(tmp_path) -> None:
    note = tmp_path / 'run' / 'settings.json'
    settings = dict(seed=0, options=('a', 'b'), nothing=None, kind=Config)
    keep_settings(note, settings)
    text = note.read_text()
    keep_settings(note, dict(reversed(settings.items())))
    assert note.read_text() == text
    assert [file.name for file in note.parent.iterdir()] == [note.name]


@pytest.mark.parametrize(
    'changes,said',
    [
        (dict(seed=1), 'seed was 0, is 1'),
        (dict(options=['a', 'b']), "options.1 was 'unset', is 'b'"),
        (dict(options=[]), "options was 'unset', is '[]'; options.0 was"),
        (dict(lr=None), "lr was 'unset', is None"),
        (dict(b=1, c=2, d=3, e=4), "d was 'unset', is 3; ...)"),
    ],
)
def test_other_settings_are_told(tmp_path, changes, said) -> None:
    note = tmp_path / 'settings.json'
    settings = dict(seed=0, options=['a'])
    keep_settings(note, settings)
    text = note.read_text()
    with pytest.raises(ValueError, match='other settings') as failure:
        keep_settings(note, {**settings, **changes})
    assert said in str(failure.value)
    assert 'another --work-dir' in str(failure.value)
    assert note.read_text() == text


def test_nested_files_of_earlier_versions(tmp_path) -> None:
    note = tmp_path / 'settings.json'
    note.write_text(json.dumps(dict(options=['a'], size=None)))
    keep_settings(note, dict(options=['a'], size=None))
    with pytest.raises(ValueError, match='other settings'):
        keep_settings(note, dict(options=['a'], size=3))
