"""tools/dataset_converters: checks, split files, frames of videos."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from lore_mm.datasets import SplitFile, read_ground_truth

TOOLS = Path(__file__).parents[2] / 'tools' / 'dataset_converters'
BASE = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(capsys, *args: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        load('check_dataset').main(args)
    return ended.value.code, capsys.readouterr().out


@pytest.fixture
def grocery(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / 'dataset'
    folder.mkdir()
    for part in ('train', 'val', 'test'):
        lines = [f'{part}{i}.jpg, {i}, 0' for i in (3, 5)]
        (folder / f'{part}.txt').write_text('\n'.join(lines))
        for i in (3, 5):
            Image.new('RGB', (8, 8)).save(folder / f'{part}{i}.jpg')
    (folder / 'classes.csv').write_text(
        'Class Name (str),Class ID (int),Coarse Class Name (str),'
        'Coarse Class ID (int)\nRed-Milk,3,Milk,0\nBlue-Milk,5,Milk,0\n'
    )
    monkeypatch.setenv('GROCERY_ROOT', str(tmp_path))
    return folder


def test_part_of_a_set_is_fine(grocery, capsys) -> None:
    code, out = check(capsys, 'grocery', '--part')
    assert code == 0
    assert out.splitlines()[-1] == 'grocery: ok'
    assert 'grocery val: 2 images, 2 classes' in out


def test_counts_are_compared(grocery, capsys) -> None:
    code, out = check(capsys, 'grocery')
    assert code == 1
    assert 'train: 2 classes, the whole set has 81' in out
    assert 'get it: https://github.com/marcusklasson' in out


def test_faults_of_files(grocery, capsys) -> None:
    (grocery / 'test3.jpg').write_bytes(b'broken')
    code, out = check(capsys, 'grocery', '--part')
    assert code == 1
    assert "test3.jpg' cannot be read" in out
    (grocery / 'val.txt').unlink()
    code, out = check(capsys, 'grocery', '--part')
    assert (code, out.count("val.txt' does not exist")) == (1, 3)


def test_names_that_cannot_be_told_apart(grocery, capsys) -> None:
    text = (grocery / 'classes.csv').read_text()
    (grocery / 'classes.csv').write_text(text.replace('Blue', 'Red'))
    code, out = check(capsys, 'grocery', '--part')
    assert code == 1
    assert "two classes are named 'Red Milk'" in out


def test_facts_are_those_of_configs() -> None:
    facts = load('check_dataset').load_facts()
    assert {f'{name}.py' for name in facts} <= {
        file.name for file in BASE.glob('*.py')
    }
    assert len(facts) == 15
    for name, fact in facts.items():
        assert fact['classes'] > 1
        assert 'http' in fact['get'], name
        assert ('train' in fact) == ('test' in fact)


def test_split_of_a_folder(tiny_image_folder, tmp_path, capsys) -> None:
    root = tiny_image_folder(num_classes=2, per_class=10)
    (root / 'class_0' / '._a.jpg').touch()  # as macOS leaves them
    out = tmp_path / 'split.json'
    tool = load('split_folder')
    tool.main([str(root), str(out), '--train', '0.2'])
    assert '4 train, 0 val, 16 test images' in capsys.readouterr().out
    text = out.read_text()
    tool.main([str(root), str(out), '--train', '0.2'])
    assert out.read_text() == text
    tool.main([str(root), str(out), '--train', '0.2', '--seed', '1'])
    assert out.read_text() != text
    dataset = SplitFile(str(root), str(out))
    assert dataset.CLASSES == ('class 0', 'class 1')
    assert np.bincount(dataset.get_gt_labels()).tolist() == [2, 2]


def test_split_names_what_is_wrong(tiny_image_folder, tmp_path) -> None:
    tool = load('split_folder')
    assert tool.readable('MobileHome_park') == 'mobile home park'
    with pytest.raises(FileNotFoundError, match='is no folder'):
        tool.split_folder(tmp_path / 'none', 0.2, 0)
    root = tiny_image_folder(num_classes=2, per_class=1)
    with pytest.raises(ValueError, match='--train must be in'):
        tool.split_folder(root, 1.0, 0)
    with pytest.raises(ValueError, match='has 1 images; need 2'):
        tool.split_folder(root, 0.5, 0)
    with pytest.raises(SystemExit, match='error: .*two class folders'):
        tool.main([str(root / 'class_0'), 'x.json', '--train', '0.5'])


def test_ground_truth_of_groceries(grocery, tmp_path, capsys) -> None:
    (grocery / 'train.txt').write_text('train3.jpg, 3, 0\ntrain5.jpg, 5, 0\n')
    lines = [f'test{i}.jpg, {i}, 0\n' for i in (5, 3, 3, 3, 3, 5)]
    (grocery / 'test.txt').write_text(''.join(lines))
    load('make_grocery_gnd').main([str(tmp_path)])
    assert '2 queries, 2 images' in capsys.readouterr().out
    truth = read_ground_truth(tmp_path / 'gnd_grocery.json')
    assert truth['qimlist'] == ['test5', 'test3']
    assert truth['imlist'] == ['train3', 'train5']
    box = [0, 0, 8, 8]
    assert truth['gnd'] == [
        dict(bbx=box, easy=[1], hard=[], junk=[]),
        dict(bbx=box, easy=[0], hard=[], junk=[]),
    ]


def test_ground_truth_is_that_of_the_figures(real_data) -> None:
    root = real_data / 'GroceryStoreDataset'
    known = read_ground_truth(root / 'gnd_grocery_homemade.pkl')
    assert load('make_grocery_gnd').grocery_truth(root) == known


def test_groceries_that_are_not_there(fails, tmp_path) -> None:
    message = fails('dataset_converters/make_grocery_gnd.py', tmp_path)
    assert "classes.csv' does not exist" in message


def test_middle_frames(tmp_path, capsys) -> None:
    import cv2

    video = tmp_path / 'in' / 'ApplyLipstick' / 'v_1.avi'
    video.parent.mkdir(parents=True)
    code = cv2.VideoWriter_fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(video), code, 5, (32, 32))
    for value in (0, 120, 250):
        writer.write(np.full((32, 32, 3), value, np.uint8))
    writer.release()
    tool = load('middle_frames')
    tool.main([str(tmp_path / 'in'), str(tmp_path / 'out')])
    (frame,) = (tmp_path / 'out' / 'Apply_Lipstick').iterdir()
    assert abs(np.asarray(Image.open(frame)).mean() - 120) < 8
    assert '1 frames' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='no class folders with videos'):
        tool.main([str(tmp_path), str(tmp_path / 'out')])
    video.write_bytes(b'broken')
    frame.unlink()
    with pytest.raises(SystemExit, match='cannot be read as a video'):
        tool.main([str(tmp_path / 'in'), str(tmp_path / 'out')])


@pytest.mark.parametrize(
    'name,said',
    [
        ('nosuch', "no data set 'nosuch'; whole sets are known of flowers102"),
        ('flowers12', "no data set 'flowers12'; did you mean flowers102?"),
        ('davis2017', 'davis2017 has no images to train, val: sets of other'),
    ],
)
def test_unknown_set_is_told_before_the_work(
    grocery, fails, capsys, name, said
) -> None:
    tool = 'dataset_converters/check_dataset.py'
    assert said in fails(tool, 'grocery', name)
    assert 'grocery train' not in capsys.readouterr().out
