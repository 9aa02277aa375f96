"""tools/easy_to_hard.py: two stages, resumed between them."""

import json
import re
import runpy
from pathlib import Path

import pytest
import torch

from lore_mm.engine import easy_to_hard, tool_process

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config(tiny_config, tmp_path):
    """A config whose training set holds images out."""
    path = tiny_config(train_cfg__max_epochs=1)
    lines = (
        'train_dataloader["dataset"] = dict(type="lore_mm.HoldOut", '
        'part="train", ratio=0.2, dataset=train_dataloader["dataset"])'
    )
    path.write_text(path.read_text() + lines + '\n')
    return path


@pytest.fixture
def in_process(call_tool, monkeypatch):
    """Run the tools in this process; notes which."""
    calls = []
    # Laying out the configs takes longer than the rest.
    monkeypatch.setattr(
        'yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True)
    )

    def run(script, args, log, **kwargs):
        calls.append((script.name, [str(arg) for arg in args]))
        call_tool(script.name, *args)

    monkeypatch.setattr(tool_process, 'run_tool', run)
    return calls


def test_two_stages_and_again(
    call_tool, in_process, config, tmp_path, capsys
) -> None:
    work = tmp_path / 'e2h'
    command = ['easy_to_hard.py', config, '--shots', 2, '--work-dir', work]
    command += ['--stage-two', 'train_cfg.max_epochs=1']
    call_tool(*command)
    tools = [name for name, _ in in_process]
    assert tools == ['select_images.py', 'train.py', 'test.py'] * 2
    metrics = json.loads((work / 'metrics.json').read_text())
    assert set(metrics) == {'accuracy/top1', 'stage_one/accuracy/top1'}
    said = capsys.readouterr().out
    assert 'stage_one/accuracy/top1' in said
    # Each stage tests what it trained, though stage two starts from one.
    loaded = re.findall(r'Load checkpoint from (\S+)', said)
    folders = [Path(path).parent.name for path in loaded]
    assert folders[-2:] == ['stage_one', 'stage_two'], loaded
    records = {
        name: json.loads((work / f'{name}.json').read_text())
        for name in ('easiest', 'hardest')
    }
    for name, record in records.items():
        assert record['selected'] == dict(how=name, per_class=2)
        assert len(record['indices']) == 6
    for number, stage in ((1, 'easiest'), (4, 'hardest')):
        options = ' '.join(in_process[number][1])
        assert f'indices_file={work / stage}.json' in options
    stage_two = ' '.join(in_process[4][1])
    assert 'optim_wrapper.optimizer.lr=0.0005' in stage_two
    assert 'load_from=' in stage_two
    # Killed after stage one: what is there is kept.
    (work / 'stage_two' / 'metrics.json').unlink()
    (work / 'hardest.json').unlink()
    in_process.clear()
    call_tool(*command)
    names = [name for name, _ in in_process]
    assert names == ['select_images.py', 'train.py', 'test.py']
    assert (
        json.loads((work / 'hardest.json').read_text()) == (records['hardest'])
    )


@pytest.mark.parametrize(
    ('flag', 'pays', 'reduced'),
    [
        ('--amp', False, True),
        ('--auto-amp', True, True),
        ('--auto-amp', False, False),
    ],
)
def test_images_are_judged_in_mixed_precision(
    call_tool, config, tmp_path, monkeypatch, flag, pays, reduced
) -> None:
    modes = []
    extract = easy_to_hard.extract_train_features

    def spy(runner, compute):
        def noted(img):
            modes.append(torch.is_autocast_enabled(img.device.type))
            return compute(img)

        return extract(runner, noted)

    monkeypatch.setattr(easy_to_hard, 'extract_train_features', spy)
    monkeypatch.setattr('lore_mm.utils.mixed_precision_pays', lambda: pays)
    out = tmp_path / 'easy.json'
    command = ['select_images.py', config, '--how', 'easiest', '--shots', 2]
    call_tool(*command, '--out', out, flag)
    assert set(modes) == {reduced}
    assert len(json.loads(out.read_text())['indices']) == 6


@pytest.fixture
def stand_ins(monkeypatch):
    """Tools that leave at once what the real ones leave; notes which."""
    calls = []

    def run(script, args, log, **kwargs):
        args = [str(arg) for arg in args]
        calls.append((script.name, args))
        if '--out' in args:
            out = Path(args[args.index('--out') + 1])
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps({'indices': [1], 'accuracy/top1': 5}))
        else:
            folder = Path(args[args.index('--work-dir') + 1])
            folder.mkdir(parents=True)
            (folder / 'best_epoch_1.pth').touch()

    monkeypatch.setattr(tool_process, 'run_tool', run)
    return calls


LEAF = 'lore/vit-s_cub'
OTHERS = {
    'seed': (['--seed', 1], 'seed was 0, is 1'),
    'amp': (['--amp'], 'amp was False, is True'),
    'keep-easy': (['--keep-easy'], 'keep_easy was False, is True'),
    'shots': (['--shots', 3], 'shots was 2, is 3'),
    'options': (['--cfg-options', 'a=1'], "cfg_options.* is 'a=1'"),
    'stage-one': (['--stage-one', 'a=1'], "stage_one.* is 'a=1'"),
    'stage-two': (['--stage-two', 'a=1'], "stage_two.3 .* is 'a=1'"),
}


@pytest.fixture
def done(call_tool, stand_ins, tmp_path, monkeypatch):
    """A finished folder, and the command that made it."""
    monkeypatch.delenv('LORE_IMG_SIZE', raising=False)
    command = ['easy_to_hard.py', LEAF, '--shots', 2]
    command += ['--work-dir', tmp_path / 'e2h']
    call_tool(*command)
    assert len(stand_ins) == 6
    stand_ins.clear()
    return tmp_path / 'e2h', command


def contents(folder: Path) -> dict:
    files = [file for file in folder.rglob('*') if file.is_file()]
    return {file: (file.read_text(), file.stat().st_mtime) for file in files}


@pytest.mark.parametrize('more,said', OTHERS.values(), ids=OTHERS)
def test_other_settings_are_refused(fails, done, stand_ins, more, said):
    folder, command = done
    before = contents(folder)
    message = fails(*command, *more)
    assert re.search(f'made with other settings .*{said}', message), message
    assert 'name another --work-dir' in message
    assert contents(folder) == before
    assert not stand_ins


def test_other_configs_are_refused(
    call_tool, fails, done, stand_ins, tmp_path, monkeypatch
) -> None:
    folder, command = done
    before = contents(folder)
    command[1] = 'ablation/vit-s_cub_k4'
    assert 'model.backbone.white_box.k was' in fails(*command)
    command[1] = LEAF
    with monkeypatch.context() as patch:
        patch.setenv('LORE_IMG_SIZE', '98')
        assert 'was 224, is 98' in fails(*command)
    assert contents(folder) == before
    # The same recipe elsewhere, and the number of processes.
    copy = tmp_path / 'copy.py'
    leaf = CHECKOUT / 'configs' / f'{LEAF}.py'
    copy.write_text(f'_base_ = {str(leaf)!r}\n')
    command[1] = copy
    monkeypatch.setenv('CUB_ROOT', '/elsewhere')
    call_tool(*command, '--processes', 2)
    assert not stand_ins


def test_images_of_unknown_settings_are_refused(fails, done) -> None:
    folder, command = done
    (folder / 'stages.json').unlink()
    assert 'has chosen images, but no stages.json' in fails(*command)


def test_batch_that_cannot_be_divided(fails, stand_ins, tmp_path) -> None:
    command = ['easy_to_hard.py', LEAF, '--shots', 2, '--processes', 4]
    command += ['--work-dir', tmp_path / 'e2h']
    more = ['--stage-two', 'train_dataloader.batch_size=6']
    assert 'a batch of 6 images cannot be divided' in fails(*command, *more)
    assert not stand_ins
    assert not (tmp_path / 'e2h').exists()


def test_processes_divide_the_batch(call_tool, stand_ins, tmp_path) -> None:
    command = ['easy_to_hard.py', LEAF, '--shots', 2, '--processes', 4]
    command += ['--work-dir', tmp_path / 'e2h']
    call_tool(*command, '--stage-two', 'train_dataloader.batch_size=8')
    sizes = [
        arg
        for name, args in stand_ins
        for arg in args
        if name == 'train.py' and arg.startswith('train_dataloader.batch')
    ]
    key = 'train_dataloader.batch_size'
    assert sizes == [f'{key}=8', f'{key}=8', f'{key}=2']


def test_both_kinds_of_images(tmp_path) -> None:
    files = {'easy.json': [1, 4], 'hard.json': [2, 4]}
    for name, indices in files.items():
        record = dict(indices=indices, selected=name, length=9)
        (tmp_path / name).write_text(json.dumps(record))
    tool = runpy.run_path(str(CHECKOUT / 'tools' / 'easy_to_hard.py'))
    out = tool['with_easy'](tmp_path / 'easy.json', tmp_path / 'hard.json')
    found = json.loads(out.read_text())
    assert found == dict(indices=[1, 2, 4], selected='hard.json', length=9)


def test_both_stages_are_mixed_precision(
    call_tool, stand_ins, tiny_config, tmp_path
) -> None:
    command = ['easy_to_hard.py', tiny_config(), '--shots', 2, '--amp']
    call_tool(*command, '--work-dir', tmp_path / 'e2h')
    asked = [(name, '--amp' in args) for name, args in stand_ins]
    both = [('select_images.py', True), ('train.py', True)]
    assert [each for each in asked if each[0] != 'test.py'] == both * 2
