"""The cost of each row is measured, on a tiny ViT."""

import json


def test_help_comes_without_warnings_of_libraries(start_tool):
    done = start_tool('analysis/benchmark_model.py', '--help')
    assert done.returncode == 0
    assert done.stderr == ''
    assert '--presets' in done.stdout


def test_rows_and_equal_outputs(call_tool, tmp_path):
    out = tmp_path / 'cost.json'
    words = '--model test_vit --img-size 64 --rounds 1 --batches 2'
    words += ' --presets released extended --train-batch 2 --out'
    call_tool('analysis/benchmark_model.py', *words.split(), out)
    tables = json.loads(out.read_text())
    sizes = {row['row']: row for row in tables['sizes']}
    assert sizes['stock']['trained_m'] == 0 < sizes['vpt']['trained_m']
    # Prompts as keys and values have no query and no MLP.
    for row in ('vpt', 'lore-released', 'lore-extended'):
        assert sizes[row]['gflops'] < sizes[f'{row}-plain']['gflops']
    rows = {row['row']: row for row in tables['inference, batch 2']}
    assert rows['stock']['ratio_to_stock'] == 1
    assert rows['lore-extended']['max_difference_to_plain'] < 1e-5
    steps = {row['row']: row for row in tables['training step']}
    assert set(steps) == {'full', 'vpt', 'lore-released', 'lore-extended'}
    assert all(row['peak_mb'] > 0 for row in steps.values())
