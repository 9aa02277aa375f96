"""tools/easy_to_hard.py: two stages, resumed between them."""

import json
import re
import runpy
from pathlib import Path

import pytest

from lore_mm.engine import tool_process

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


def test_other_images_are_refused(tmp_path) -> None:
    file = tmp_path / 'hardest.json'
    kept = dict(how='hardest', per_class=4)
    file.write_text(json.dumps(dict(selected=kept)))
    tool = runpy.run_path(str(CHECKOUT / 'tools' / 'easy_to_hard.py'))
    tool['check_kept'](file, kept)
    with pytest.raises(SystemExit, match='has 4 hardest images .* not 8'):
        tool['check_kept'](file, dict(how='hardest', per_class=8))


def test_both_kinds_of_images(tmp_path) -> None:
    files = {'easy.json': [1, 4], 'hard.json': [2, 4]}
    for name, indices in files.items():
        record = dict(indices=indices, selected=name, length=9)
        (tmp_path / name).write_text(json.dumps(record))
    tool = runpy.run_path(str(CHECKOUT / 'tools' / 'easy_to_hard.py'))
    out = tool['with_easy'](tmp_path / 'easy.json', tmp_path / 'hard.json')
    found = json.loads(out.read_text())
    assert found == dict(indices=[1, 2, 4], selected='hard.json', length=9)
