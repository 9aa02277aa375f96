"""What a user's files can be wrong in, through the tools themselves."""

import errno
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lore_mm.engine import files


@pytest.fixture
def root(tiny_config, tmp_path) -> Path:
    """The image folder of ``tiny_config``."""
    tiny_config()
    return tmp_path / 'images_3'


@pytest.fixture
def trained(call_tool, tiny_config, tmp_path) -> Path:
    """A checkpoint of one epoch on three classes."""
    call_tool('train.py', tiny_config(train_cfg__max_epochs=1))
    return tmp_path / 'work' / 'tiny' / 'epoch_1.pth'


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def empty(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


@pytest.mark.parametrize('workers', [0, 2])
def test_truncated_image(fails, tiny_config, root, workers):
    path = root / 'train' / 'class_1' / '003.png'
    shorten(path)
    config = tiny_config(train_dataloader__num_workers=workers)
    message = fails('train.py', config)
    assert str(path) in message
    assert 'truncated' in message


def test_file_that_is_no_image(fails, tiny_config, root):
    path = root / 'val' / 'class_1' / '003.png'
    path.write_text('no image')
    assert str(path) in fails('train.py', tiny_config())


def test_empty_class(fails, tiny_config, root):
    empty(root / 'train' / 'class_1')
    message = fails('train.py', tiny_config())
    assert 'class_1' in message


@pytest.mark.parametrize('size', [60, (64, 48)])
def test_wrong_image_size(fails, tiny_config, root, size):
    width, height = (size, size) if isinstance(size, int) else size
    files = sorted(root.glob('train/*/*.png'))
    wrong = files if isinstance(size, int) else files[:20]
    for path in wrong:
        Image.open(path).resize((width, height)).save(path)
    message = fails('train.py', tiny_config(augment=False))
    assert 'resize or crop in the pipeline' in message


def test_every_mode_of_pixels_trains(call_tool, tiny_config, root, tmp_path):
    rng = np.random.default_rng(0)
    modes = dict(L=(64, 64), LA=(64, 64, 2), RGBA=(64, 64, 4))
    for i, (mode, shape) in enumerate(modes.items()):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        image = Image.fromarray(pixels, mode)
        image.save(root / 'train' / 'class_0' / f'{i:03d}.png')
    deep = rng.integers(0, 65536, (64, 64), dtype=np.uint16)
    Image.fromarray(deep).save(root / 'train' / 'class_1' / '000.png')
    inks = rng.integers(0, 256, (64, 64, 4), dtype=np.uint8)
    Image.fromarray(inks, 'CMYK').save(root / 'train' / 'class_1' / '1.jpg')
    call_tool('train.py', tiny_config(train_cfg__max_epochs=1))
    assert (tmp_path / 'work' / 'tiny' / 'epoch_1.pth').is_file()


def test_more_classes_than_in_the_checkpoint(fails, tiny_config, trained):
    config = tiny_config(name='more', num_classes=4)
    message = fails('test.py', config, trained)
    assert 'classes' in message
    assert str(trained) in message


def test_other_black_box(fails, tiny_config, trained):
    config = tiny_config(
        model__backbone__black_box__model_name='test_vit2',
        name='other',
    )
    message = fails('test.py', config, trained)
    assert 'Black Box' in message
    assert 'test_vit' in message


def test_truncated_checkpoint(fails, tiny_config, trained):
    shorten(trained)
    assert 'is truncated' in fails('test.py', tiny_config(), trained)


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


def test_pickle_that_would_run_code(fails, tiny_config, tmp_path):
    path, proof = tmp_path / 'evil.pth', tmp_path / 'ran'
    path.write_bytes(pickle.dumps(dict(state_dict=Runs(proof))))
    for options in ([], ['--resume', path]):
        tool = 'train.py' if options else 'test.py'
        message = fails(tool, tiny_config(), *(options or [path]))
        assert 'evil.pth is refused' in message
    assert not proof.exists()


def test_class_names_without_embeddings(fails, tiny_config, tmp_path):
    path = tmp_path / 'names.safetensors'
    save_file({'class 0': torch.ones(16), 'class 2': torch.ones(16)}, path)
    config = tiny_config(
        model__neck__knowledge=dict(
            _delete_=True, type='lore_mm.EmbeddingFile', path=str(path)
        )
    )
    message = fails('train.py', config)
    assert 'names.safetensors' in message
    assert 'class 1' in message


def test_full_disk(fails, tiny_config, trained, monkeypatch):
    """The checkpoint of the first epoch survives, and training goes on."""

    def fsync(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = trained.read_bytes()
    monkeypatch.setattr(files.os, 'fsync', fsync)
    message = fails('train.py', tiny_config(), '--resume')
    assert 'No space left on device' in message
    assert str(trained) in message
    assert trained.read_bytes() == before
    assert not list(trained.parent.glob('.*'))


@pytest.mark.parametrize(
    'option,said',
    [
        ('optim_wrapper.type=AmpOptimWrapper', 'give --amp'),
        ('train_dataloader.batch_size=99', 'fewer images than one batch'),
    ],
)
def test_what_a_library_would_end_with_a_traceback(
    fails, tiny_config, option, said
):
    config = tiny_config(train_dataloader__drop_last=True)
    if torch.cuda.is_available() and 'Amp' in option:
        pytest.skip('needs a machine without a GPU')
    assert said in fails('train.py', config, '--cfg-options', option)


def test_model_without_a_head(fails, tiny_config):
    options = ['--cfg-options', 'model.head=None']
    message = fails('train.py', tiny_config(), *options)
    assert 'training needs a head' in message


def test_label_of_a_test_that_is_no_class(
    fails, tiny_config, trained, tmp_path
):
    (tmp_path / 'ann.txt').write_text('class_0/000.png 0\nclass_0/001.png 9')
    root = tmp_path / 'images_3' / 'test'
    dataset = dict(
        type='CustomDataset',
        data_root=str(root),
        ann_file=str(tmp_path / 'ann.txt'),
        metainfo=dict(classes=['class 0', 'class 1', 'class 2']),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
        _delete_=True,
    )
    config = tiny_config(test_dataloader__dataset=dataset, name='other')
    message = fails('test.py', config, trained)
    assert f"'{root}/class_0/001.png' of test has label 9" in message
    assert 'labels go from 0 to 2' in message
