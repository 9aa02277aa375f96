"""tools/deployment/export.py, as a user runs it."""

import json
import re
import warnings

import pytest
import torch
from mmengine.config import Config

from lore_mm.apis import init_model

TOOL = 'deployment/export.py'


@pytest.fixture
def checkpoint(tiny_config, tmp_path):
    """Random weights, equal wherever the seed is."""
    cfg = Config.fromfile(tiny_config(model__backbone__black_box__depth=2))
    crop = dict(type='CenterCrop', crop_size=64)
    cfg.test_dataloader.dataset.pipeline.insert(1, crop)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = init_model(cfg)
    meta = dict(cfg=cfg.pretty_text, classes=['x', 'y', 'z'])
    path = tmp_path / 'best.pth'
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    torch.manual_seed(0)
    return path


def test_logits_of_a_checkpoint_alone(call_tool, checkpoint, tmp_path, capsys):
    out = tmp_path / 'lore.pt2'
    call_tool(
        TOOL, checkpoint, '--format', 'torch', '--out', out, '--rounds', 1
    )
    said = capsys.readouterr().out
    assert 'images (B, 3, 64, 64) to logits' in said  # as the pipeline crops
    assert said.count('largest difference to PyTorch') == 3
    assert '| batch | PyTorch ms | torch ms | ratio |' in said
    assert said.count('\n| 1 |') == said.count('\n| 8 |') == 1
    files = {'lore_mm': ''}
    with out.open('rb') as file:
        torch.export.load(file, extra_files=files)
    facts = json.loads(files['lore_mm'])
    assert facts['classes'] == ['x', 'y', 'z']
    assert facts['resize'] is None  # the pipeline only crops


def test_bare_features_at_another_size(
    call_tool, tiny_config, tmp_path, capsys
):
    out = tmp_path / 'vit.pt2'
    args = ['--format', 'torch', '--output', 'featmap', '--out', out]
    args += ['--img-size', 32, 48, '--batch-sizes', 1, 4, '--rounds', 0]
    config = tiny_config(model__backbone__black_box__depth=2)
    call_tool(TOOL, config, *args)
    said = capsys.readouterr().out
    assert 'images (B, 3, 32, 48) to featmap' in said
    assert 'batch 4: ' in said
    assert 'median' not in said
    with out.open('rb') as file:
        program = torch.export.load(file).module()
    assert program(torch.zeros(3, 3, 32, 48)).shape == (3, 64, 2, 3)


@pytest.mark.parametrize(
    'args,message',
    [
        (['--out', 'a.bin'], "error: a file of the format 'onnx' must end"),
        (['--out', 'a.onnx', '--img-size', 40], 'multiples of the patch'),
        (['gone.pth', '--out', 'a.onnx'], 'checkpoint gone.pth does not'),
        # The place is looked at first: no export for nothing.
        (
            ['gone.pth', '--out', 'tiny.py/a.onnx'],
            "folder of --out '.*tiny.py",
        ),
        (['gone.pth', '--out', 'work'], '--out work is a folder'),
    ],
)
@pytest.mark.filterwarnings('ignore:no checkpoint')
def test_failures_are_one_line(
    call_tool, tiny_config, tmp_path, monkeypatch, args, message
):
    config = tiny_config()
    (tmp_path / 'work').mkdir()
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(SystemExit) as stop:
        call_tool(TOOL, config, *args)
    assert re.search(message, str(stop.value))
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    'args,message',
    [
        (['--bare'], '--bare needs --output'),
        (['--img-size', 1, 2, 3], 'takes one or two numbers'),
        (['--batch-sizes', 2, 0], '--batch-sizes must be at least 1, got 0'),
        (['--img-size', 0], '--img-size must be at least 1, got 0'),
        (['--img-size', 28, -14], '--img-size must be at least 1, got -14'),
        (['--threads', -1], '--threads must be at least 1, got -1'),
    ],
)
def test_wrong_options(call_tool, capsys, args, message):
    with pytest.raises(SystemExit):
        call_tool(TOOL, 'lore/vit-s_textile', '--out', 'a.onnx', *args)
    assert message in capsys.readouterr().err
