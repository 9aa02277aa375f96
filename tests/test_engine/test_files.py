"""Files are written whole, and read without running code."""

import os
import pickle
import zipfile

import pytest
import torch

from lore_mm.engine.files import (
    CheckpointError,
    check_work_dir,
    latest_checkpoint,
    replace_when_done,
    safe_load_checkpoint,
)


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_replace_when_done_writes(tmp_path):
    target = tmp_path / 'a.txt'
    target.write_text('old')
    with replace_when_done(target) as temp:
        temp.write_text('new')
        assert target.read_text() == 'old'
    assert target.read_text() == 'new'
    assert os.listdir(tmp_path) == ['a.txt']


def test_replace_when_done_keeps_the_old_file_on_failure(tmp_path):
    target = tmp_path / 'a.txt'
    target.write_text('old')
    with pytest.raises(OSError, match='disk'), replace_when_done(target) as t:
        t.write_text('half of the n')
        raise OSError('disk full')
    assert target.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_loads_what_was_saved(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(
        dict(state_dict=dict(w=torch.ones(2)), meta=dict(epoch=3)), path
    )
    loaded = safe_load_checkpoint(path)
    assert loaded['meta'] == dict(epoch=3)
    assert loaded['state_dict']['w'].tolist() == [1, 1]


def test_missing_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match='gone.pth does not exist'):
        safe_load_checkpoint(tmp_path / 'gone.pth')


@pytest.mark.parametrize('keep', [0, 1, 100, 0.5, 0.99])
def test_truncated_checkpoint(tmp_path, keep):
    path = tmp_path / 'a.pth'
    torch.save(dict(w=torch.rand(1000)), path)
    content = path.read_bytes()
    size = keep if isinstance(keep, int) else int(keep * len(content))
    path.write_bytes(content[:size])
    with pytest.raises(
        CheckpointError, match=rf'a.pth \({size} bytes\) is truncated'
    ):
        safe_load_checkpoint(path)


@pytest.mark.parametrize('content', [b'hello', b'\x00' * 64, b'{"a": 1}'])
def test_other_file(tmp_path, content):
    path = tmp_path / 'a.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match='is no torch checkpoint'):
        safe_load_checkpoint(path)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('form', ['zip', 'old', 'pickle'])
def test_pickle_that_runs_code_is_refused_and_not_run(tmp_path, form):
    path, trace = tmp_path / 'a.pth', tmp_path / 'ran'
    content = dict(state_dict={}, meta=Evil(trace))
    if form == 'pickle':
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == 'zip')
    assert zipfile.is_zipfile(path) == (form == 'zip')
    with pytest.raises(CheckpointError, match='refused.*could run code'):
        safe_load_checkpoint(path)
    assert not trace.exists()
    # The file is a real one: read the careless way it does run.
    with path.open('rb') as file:
        if form == 'pickle':
            pickle.load(file)
        else:
            torch.load(file, weights_only=False)
    assert trace.exists()


def test_not_a_dict(tmp_path):
    torch.save([1, 2], tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='holds a list, not the dict'):
        safe_load_checkpoint(tmp_path / 'a.pth')


def test_latest_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    note = tmp_path / 'last_checkpoint'
    note.write_text('')
    assert latest_checkpoint(tmp_path) is None
    note.write_text('/somewhere/else/epoch_2.pth\n')
    with pytest.raises(CheckpointError, match='names /somewhere/else'):
        latest_checkpoint(tmp_path)
    (tmp_path / 'epoch_2.pth').touch()  # the folder was moved
    assert latest_checkpoint(tmp_path) == tmp_path / 'epoch_2.pth'


def test_latest_checkpoint_of_a_copied_folder_is_its_own(tmp_path):
    for name in ('original', 'copy'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'epoch_2.pth').touch()
        note = tmp_path / name / 'last_checkpoint'
        note.write_text(str(tmp_path / 'original' / 'epoch_2.pth'))
    assert latest_checkpoint(tmp_path / 'copy').parent.name == 'copy'


def test_latest_checkpoint_in_a_folder_of_its_own(tmp_path):
    """``out_dir`` of the hook; the work folder holds an older run's."""
    for name in ('work', 'out'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'epoch_2.pth').touch()
    written = tmp_path / 'out' / 'epoch_2.pth'
    (tmp_path / 'work' / 'last_checkpoint').write_text(str(written))
    assert latest_checkpoint(tmp_path / 'work') == written


def test_work_dir_is_made(tmp_path):
    check_work_dir(tmp_path / 'a' / 'b')
    assert list((tmp_path / 'a' / 'b').iterdir()) == []


def test_unwritable_work_dir(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    with pytest.raises(
        ValueError, match=r'work_dir .*file/run. cannot be wri'
    ):
        check_work_dir(file / 'run')


def test_read_only_work_dir(tmp_path):
    if os.geteuid() == 0:
        pytest.skip('root writes everywhere')
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match='Permission denied.*--work-dir'):
        check_work_dir(tmp_path)
