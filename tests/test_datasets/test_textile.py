"""Textile: from a folder, and from the installed package."""

import importlib.util
import sys
from pathlib import Path

import pytest
from PIL import Image

from lore_mm.datasets import Textile, split_images
from lore_mm.datasets.textile import installed_textile_root

SMALL = dict(train=3, val=2, test=4)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in Textile.FOLDERS:
        (tmp_path / folder).mkdir()
        for i in range(10):
            Image.new('RGB', (4, 4)).save(tmp_path / folder / f'{i}.jpg')
        (tmp_path / folder / 'notes.txt').touch()
    return tmp_path


def part(root: Path, split: str, seed: int = 0, **per_class: int) -> set[str]:
    data = Textile(str(root), split, {**SMALL, **per_class}, seed)
    return {data.get_data_info(i)['img_path'] for i in range(len(data))}


def test_parts(root) -> None:
    sets = {
        split: Textile(str(root), split, per_class=SMALL)
        for split in ('train', 'val', 'test')
    }
    for split, data in sets.items():
        counts = [list(data.get_gt_labels()).count(k) for k in range(3)]
        assert counts == [SMALL[split]] * 3
        assert data.CLASSES == ('nominal', 'local', 'global')
        for i in range(len(data)):
            info = data.get_data_info(i)
            folder = Path(info['img_path']).parent.name
            assert Textile.FOLDERS[info['gt_label']] == folder
    assert len(split_images(**sets)) == 3  # raises if they overlap


def test_split_depends_on_seed_and_sizes(root) -> None:
    assert part(root, 'test') == part(root, 'test')
    assert part(root, 'test') != part(root, 'test', seed=1)
    # fewer or more training images: the others stay, few are among many
    assert part(root, 'test', train=1) == part(root, 'test')
    assert part(root, 'val', train=1) == part(root, 'val')
    assert part(root, 'train', train=1) < part(root, 'train')


def test_names_for_text(root) -> None:
    names = ('fine cloth', 'cloth with a spot', 'spoilt cloth')
    data = Textile(str(root), per_class=SMALL, metainfo=dict(classes=names))
    assert names == data.CLASSES
    assert 'seed 0' in repr(data)


def test_bad_arguments(root) -> None:
    with pytest.raises(ValueError, match='asks for 16 images .* has 10'):
        Textile(str(root), per_class=dict(SMALL, train=10))
    with pytest.raises(ValueError, match=r"got 'trian'"):
        Textile(str(root), per_class=dict(trian=3))
    with pytest.raises(ValueError, match=r"per_class\['val'\] must be"):
        Textile(str(root), per_class=dict(val=-1))
    with pytest.raises(ValueError, match=r"per_class\['val'\] is 0"):
        Textile(str(root), 'val', per_class=dict(val=0))
    (root / 'global').rename(root / 'other')
    with pytest.raises(FileNotFoundError, match=r"global' does not exist"):
        Textile(str(root), per_class=SMALL)


def test_package_is_not_installed(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(FileNotFoundError, match='pip install conformal-clip'):
        Textile()


def test_installed_package() -> None:
    pytest.importorskip('conformal_clip_data')
    for name in [m for m in sys.modules if m.startswith('conformal_clip')]:
        del sys.modules[name]
    assert installed_textile_root().is_dir()
    assert 'conformal_clip_data' not in sys.modules
    counts = {split: len(Textile(split=split)) for split in SMALL}
    assert counts == dict(train=600, val=300, test=600)
