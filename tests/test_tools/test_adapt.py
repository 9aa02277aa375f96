"""tools/adapt.py from the command line."""

import html
import json
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from mmengine.fileio import load
from safetensors.torch import save_file

from lore_mm.apis.adaptation.reporting import OTHER, commands


@pytest.fixture
def options(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model('test_vit', img_size=64, num_classes=0)
    path = tmp_path / 'vit.safetensors'
    save_file(model.state_dict(), path)
    line = (
        f'--black-box test_vit --checkpoint {path} --knowledge random '
        '--img-size 32 --epochs 1 --no-amp --workers 0'
    )
    return line.split()


def test_adapt_then_test(
    call_tool, tiny_image_folder, options, tmp_path, monkeypatch, capsys
):
    folder = tiny_image_folder(num_classes=2, per_class=5, name='my photos')
    monkeypatch.chdir(tmp_path)
    call_tool('adapt.py', folder, *options)
    out = tmp_path / 'work_dirs' / 'adapt' / 'my photos'
    said = capsys.readouterr().out
    assert f'Report:        {out}/report.html' in said
    assert f"test.py '{out}/config.py' '{out}/checkpoint.pth'" in said
    assert 'of 2 test images' in said
    metrics = json.loads((out / 'metrics.json').read_text())

    def test(out):
        call_tool(
            'test.py',
            out / 'config.py',
            out / 'checkpoint.pth',
            '--work-dir',
            tmp_path / 'test',
            '--out',
            tmp_path / 'again.json',
        )
        return json.loads((tmp_path / 'again.json').read_text())

    assert test(out)['accuracy/top1'] == metrics['accuracy/top1']
    call_tool('adapt.py', folder, '--resume')
    said = capsys.readouterr().out
    assert 'nothing to do' in said
    assert f'Report:        {out}/report.html' in said
    moved = out.rename(tmp_path / 'moved')
    assert test(moved)['accuracy/top1'] == metrics['accuracy/top1']
    (moved / 'splits.json').unlink()
    with pytest.raises(SystemExit, match='error: .*moved/splits.json. does n'):
        test(moved)
    assert not (moved / 'splits.json').exists()
    assert not out.exists()


def test_other_images(call_tool, tiny_image_folder, options, tmp_path, capsys):
    folder = tiny_image_folder(num_classes=3, per_class=5)
    out, pickle = tmp_path / 'out', tmp_path / 'found.pkl'
    call_tool('adapt.py', folder, '--out', out, *options)
    told = commands(out, SimpleNamespace(epochs=1))
    line = told['Test on other images of these classes:']
    assert html.escape(line) in (out / 'report.html').read_text()
    # One class is not there: labels go by the names of the folders.
    other = tiny_image_folder(num_classes=3, per_class=4, name='other images')
    shutil.rmtree(other / 'class_0')
    tool, *args = shlex.split(line.replace(OTHER, shlex.quote(str(other))))[1:]
    assert Path(tool).name == 'test.py'
    more = [
        '--out',
        pickle,
        '--out-item',
        'pred',
        '--work-dir',
        tmp_path / 't',
    ]
    config, checkpoint, *last = args
    call_tool('test.py', config, checkpoint, *more, *last)
    found = [sample['gt_label'].item() for sample in load(pickle)]
    assert found == 4 * [1] + 4 * [2]
    (other / 'class_1').rename(other / 'a dog')
    with pytest.raises(SystemExit, match=r'stand for \(unknown: a dog\)'):
        call_tool('test.py', config, checkpoint, *more, *last)


def test_bad_input_ends_in_one_line(
    call_tool, tiny_image_folder, options, tmp_path
):
    def fails(*args):
        with pytest.raises(SystemExit) as failure:
            call_tool('adapt.py', *args)
        message = failure.value.code
        assert message.startswith('error: ')
        assert '\n' not in message
        return message

    out = tmp_path / 'out'
    assert 'does not exist' in fails(tmp_path / 'none', '--out', out)
    folder = tiny_image_folder(per_class=1)
    message = fails(folder, '--out', out, *options)
    assert "class 'class_0' has 1 images, too few" in message
    assert not out.exists()
