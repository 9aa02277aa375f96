"""JSON records of splits."""

import pytest

from lore_mm.datasets.records import check_record, read_record, write_record


def test_write_and_read(tmp_path) -> None:
    path = tmp_path / 'new' / 'record.json'
    assert read_record(path) is None
    write_record(path, {'indices': [1, 2]})
    assert read_record(path) == {'indices': [1, 2]}
    assert [p.name for p in path.parent.iterdir()] == ['record.json']


def test_failed_write_keeps_the_old_record(tmp_path) -> None:
    path = tmp_path / 'record.json'
    write_record(path, {'a': 1})
    with pytest.raises(TypeError):
        write_record(path, {'a': object()})
    assert read_record(path) == {'a': 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_damaged_record(tmp_path) -> None:
    path = tmp_path / 'record.json'
    path.write_text('{"a": ')
    with pytest.raises(ValueError, match=r"record\.json' is not a JSON file"):
        read_record(path)
    path.write_text('[1]')
    with pytest.raises(ValueError, match='must hold a JSON object'):
        read_record(path)


def test_check_record_names_each_difference() -> None:
    check_record('f.json', {'seed': 0, 'more': 1}, {'seed': 0})
    with pytest.raises(ValueError, match='seed is 0 there, 1 here; shots is'):
        check_record('f.json', {'seed': 0}, {'seed': 1, 'shots': 2})
