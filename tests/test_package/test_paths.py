"""Configs are found from a checkout, a wheel and the current folder."""

from pathlib import Path

import pytest

from lore_mm.utils import find_config, paths


@pytest.fixture
def roots(tmp_path, monkeypatch) -> dict[str, Path]:
    """A checkout, an installed wheel and a current folder of their own."""
    folders = {}
    for name in ('cwd', 'checkout', 'wheel'):
        folders[name] = tmp_path / name
        folders[name].mkdir()
    (folders['checkout'] / 'setup.py').touch()
    monkeypatch.setattr(paths, '_CHECKOUT', folders['checkout'])
    monkeypatch.setattr(paths, '_INSTALLED', folders['wheel'])
    monkeypatch.chdir(folders['cwd'])
    return folders


def _write(root: Path, name: str) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('x = 1\n')
    return file


@pytest.mark.parametrize(
    'name',
    [
        'configs/lore/vit-s_textile.py',
        'configs/lore/vit-s_textile',
        'lore/vit-s_textile.py',
        'lore/vit-s_textile',
    ],
)
@pytest.mark.parametrize('root', ['cwd', 'checkout', 'wheel'])
def test_found_in_every_root_and_form(roots, root, name) -> None:
    file = _write(roots[root], 'configs/lore/vit-s_textile.py')
    assert find_config(name) == file


def test_order_of_roots(roots) -> None:
    files = [
        _write(roots[root], 'configs/lore/a.py')
        for root in ('wheel', 'checkout', 'cwd')
    ]
    while files:
        assert find_config('lore/a.py') == files[-1]
        files.pop().unlink()


def test_any_path_is_a_config(roots, tmp_path) -> None:
    file = _write(tmp_path, 'elsewhere/mine.py')
    assert find_config(file) == file
    assert find_config('../elsewhere/mine.py') == file


def test_dotted_name_keeps_its_dots(roots) -> None:
    file = _write(roots['cwd'], 'configs/lore/lr0.003.py')
    assert find_config('lore/lr0.003') == file


def test_configs_beside_a_wheel_are_not_ours(roots) -> None:
    (roots['checkout'] / 'setup.py').unlink()
    _write(roots['checkout'], 'configs/lore/a.py')
    with pytest.raises(FileNotFoundError, match='give the path of a file'):
        find_config('lore/a.py')


def test_missing_names_near_matches(roots) -> None:
    _write(roots['checkout'], 'configs/lore/vit-s_textile.py')
    _write(roots['checkout'], 'configs/_base_/vit-s_textil.py')
    _write(roots['checkout'], 'configs/retrieval/clip-b16_roxford.py')
    with pytest.raises(
        FileNotFoundError,
        match=r"config 'vit-s_textle' was not found under .*; did you mean "
        r'configs/lore/vit-s_textile\.py\?$',
    ):
        find_config('vit-s_textle')


def test_missing_without_near_match_names_all(roots) -> None:
    _write(roots['wheel'], 'configs/lore/b.py')
    _write(roots['cwd'], 'configs/lore/a.py')
    with pytest.raises(
        FileNotFoundError,
        match=r'choose one of configs/lore/a\.py, configs/lore/b\.py\.$',
    ):
        find_config('quite/another')


def test_a_folder_is_no_config(roots) -> None:
    _write(roots['cwd'], 'configs/lore/a.py')
    with pytest.raises(FileNotFoundError, match="config 'lore' was not found"):
        find_config('lore')
