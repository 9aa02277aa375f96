"""The runner: work folder, processes, checkpoints."""

from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from lore_mm.engine import CheckpointError, ConfigError


def test_unwritable_work_dir(tiny_runner, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match='file/run. cannot be written'):
        tiny_runner(work_dir=str(tmp_path / 'file' / 'run'))


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a CPU machine')
@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_launchers_that_need_cuda(tiny_runner, launcher):
    with pytest.raises(ConfigError, match=f"'{launcher}' needs CUDA"):
        tiny_runner(launcher=launcher)


@pytest.mark.parametrize('resume', [False, True])
def test_missing_checkpoint(tiny_runner, resume):
    runner = tiny_runner(load_from='gone.pth', resume=resume)
    with pytest.raises(CheckpointError, match='gone.pth does not exist'):
        runner.train()


def test_truncated_checkpoint(tiny_runner, tmp_path):
    first = tiny_runner(train_cfg__max_epochs=1)
    first.train()
    path = tmp_path / 'short.pth'
    with open(f'{first.work_dir}/epoch_1.pth', 'rb') as file:
        path.write_bytes(file.read(10_000))
    runner = tiny_runner(load_from=str(path))
    with pytest.raises(CheckpointError, match='short.pth .* is truncated'):
        runner.test()


def test_mmengines_key_patterns_are_refused(tiny_runner, tmp_path):
    with pytest.raises(ValueError, match='revise_keys is not supported'):
        tiny_runner().load_checkpoint('a.pth', revise_keys=[('a', 'b')])


def test_mixed_precision_on_any_device(tiny_runner):
    seen = []
    runner = tiny_runner(
        optim_wrapper__type='lore_mm.BFloat16OptimWrapper',
        train_cfg__max_epochs=1,
    )
    patches = runner.model.backbone.black_box.model.patch_embed.proj
    patches.register_forward_hook(
        lambda module, inputs, output: seen.append(
            (runner.model.training, output.dtype)
        )
    )
    runner.train()
    assert (True, torch.bfloat16) in seen
    assert (False, torch.float32) in seen
    assert runner.model.head.fc.weight.dtype == torch.float32


KEEP_ALL = dict(default_hooks__checkpoint__max_keep_ckpts=-1)


def resumed(first, make, **changes):
    """A runner that goes on where ``first`` ended, with changed options."""
    path = f'{first.work_dir}/epoch_1.pth'
    options = dict(train_cfg__max_epochs=1) | changes
    return make(load_from=path, resume=True, **options)


def test_resuming_tells_what_it_does_not_change(tiny_runner):
    first = tiny_runner(train_cfg__max_epochs=1)
    first.train()
    for changes in ({}, dict(optim_wrapper__optimizer__lr=0.5)):
        runner = resumed(first, tiny_runner, **changes)
        with patch.object(runner.logger, 'warning') as warning:
            runner.train()
        said = ' '.join(str(call.args[0]) for call in warning.mock_calls)
        assert ('optim_wrapper.optimizer changed' in said) is bool(changes)


def test_resuming_for_longer_tells_about_the_schedule(tiny_runner):
    first = tiny_runner(train_cfg__max_epochs=1)
    first.train()
    for end in (None, 9):
        schedule = dict(param_scheduler__end=end) if end else {}
        changes = dict(train_cfg__max_epochs=2, **KEEP_ALL) | schedule
        runner = resumed(first, tiny_runner, **changes)
        with patch.object(runner.logger, 'warning') as warning:
            runner.train()
        said = ' '.join(str(call.args[0]) for call in warning.mock_calls)
        assert ('train_cfg.max_epochs (as the length' in said) is (not end)
        assert runner.epoch == 2


def test_resuming_with_the_same_optimizer_by_another_name(tiny_runner):
    first = tiny_runner(
        train_cfg__max_epochs=1, optim_wrapper__optimizer__betas=(0.9, 0.99)
    )
    first.train()
    runner = resumed(
        first,
        tiny_runner,
        optim_wrapper__optimizer__type='torch.optim.AdamW',
        optim_wrapper__optimizer__betas=[0.9, 0.99],
    )
    with patch.object(runner.logger, 'warning') as warning:
        runner.train()
    assert 'changed' not in str(warning.mock_calls)


def test_training_again_writes_its_config(tiny_runner):
    first = tiny_runner(train_cfg__max_epochs=1)
    first.train()
    config = Path(first.work_dir, 'tiny.py')
    path = f'{first.work_dir}/epoch_1.pth'
    tiny_runner(load_from=path, optim_wrapper__optimizer__lr=0.5)
    assert 'lr=0.5' not in config.read_text()  # it may be a test
    tiny_runner(load_from=path, optim_wrapper__optimizer__lr=0.5).train()
    assert 'lr=0.5' in config.read_text()


def test_resuming_with_another_optimizer_is_refused(tiny_runner):
    first = tiny_runner(train_cfg__max_epochs=1)
    first.train()
    runner = resumed(first, tiny_runner, optim_wrapper__optimizer__type='Adam')
    with pytest.raises(CheckpointError, match="is 'Adam', but .* 'AdamW'"):
        runner.train()


def test_code_in_a_checkpoint_is_not_run_when_resuming(tiny_runner, tmp_path):
    first = tiny_runner(train_cfg__max_epochs=1)
    first.train()
    path = f'{first.work_dir}/epoch_1.pth'
    checkpoint = torch.load(path, weights_only=True)
    proof = tmp_path / 'ran'
    checkpoint['meta']['config'] = f'open({str(proof)!r}, "w").close()'
    torch.save(checkpoint, path)
    resumed(first, tiny_runner).train()
    assert not proof.exists()


def test_training_needs_a_weight(tiny_runner):
    runner = tiny_runner()
    runner.model.requires_grad_(False)
    with pytest.raises(ConfigError, match='nothing in this model is trained'):
        runner.train()
