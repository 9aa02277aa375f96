"""Checkpoints of a run: their content, and what is refused on loading."""

import shutil
from pathlib import Path

import pytest
import torch

from lore_mm.engine import CheckpointError, safe_load_checkpoint
from lore_mm.engine.trained_weights import frozen_keys


@pytest.fixture
def trained(tiny_runner):
    """A run of one epoch, and its last checkpoint."""
    runner = tiny_runner(train_cfg__max_epochs=1)
    runner.train()
    return runner, f'{runner.work_dir}/epoch_1.pth'


def log_of(runner):
    (file,) = runner.logger.handlers[1:]
    with open(file.baseFilename) as log:
        return log.read()


def test_content(trained):
    runner, path = trained
    content = torch.load(path, weights_only=True)
    model = runner.model
    saved = content['state_dict']
    assert set(saved) == set(model.state_dict()) - frozen_keys(model)
    assert 'head.fc.weight' in saved
    assert 'neck.class_embeddings' in saved
    assert any(key.endswith('running_var') for key in saved)
    assert not any('black_box' in key for key in saved)
    meta = content['meta']
    box = model.backbone.black_box
    assert meta['black_box'] == {
        'backbone.black_box': dict(
            name='TimmBlackBox(test_vit)', fingerprint=box.fingerprint()
        )
    }
    assert meta['classes'] == [f'class {i}' for i in range(3)]
    assert 'LOREViT' in meta['cfg']
    # Of the trained tensors there are three: weights and two moments.
    trained_size = sum(v.numel() for v in saved.values())
    moments = [
        v.numel()
        for state in content['optimizer']['state'].values()
        for v in state.values()
    ]
    assert sum(moments) < 2 * trained_size + len(moments)


def test_test_gives_what_was_trained(trained, tiny_runner):
    runner, path = trained
    expected = runner.test()
    again = tiny_runner(load_from=path)
    assert again.test() == expected
    for key, value in runner.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[key], value), key
    log = log_of(again)
    assert 'do not match' not in log
    assert 'missing keys' not in log


def test_runner_of_mmengine_reads_and_writes_the_same(trained, tiny_runner):
    expected, path = trained
    stock = tiny_runner(runner_type='Runner', load_from=path)
    assert type(stock).__name__ == 'Runner'
    assert stock.test() == expected.test()
    assert 'do not match' not in log_of(stock)
    # And trains on from it, with the same hooks.
    again = tiny_runner(
        name='stock', runner_type='Runner', load_from=path, resume=True
    )
    again.train()
    written = safe_load_checkpoint(f'{again.work_dir}/epoch_2.pth')
    assert not frozen_keys(again.model) & set(written['state_dict'])


def test_another_black_box_is_refused(trained, tiny_runner):
    _, path = trained
    runner = tiny_runner(
        model__backbone__black_box__model_name='vit_tiny_patch16_224',
        load_from=path,
    )
    with pytest.raises(
        CheckpointError,
        match=r'epoch_1.pth: .*TimmBlackBox\(test_vit\).*but this model has '
        r'TimmBlackBox\(vit_tiny_patch16_224\)',
    ):
        runner.test()


@pytest.mark.parametrize('task', ['test', 'resume'])
def test_other_classes_are_refused(trained, tiny_runner, task):
    _, path = trained
    runner = tiny_runner(
        name='other',
        num_classes=4,
        load_from=path,
        resume=task == 'resume',
    )
    with pytest.raises(
        CheckpointError, match='trained on 3 classes, the data has 4'
    ):
        runner.test() if task == 'test' else runner.train()


def test_training_on_other_classes_takes_the_backbone(trained, tiny_runner):
    first, path = trained
    runner = tiny_runner(
        name='other',
        num_classes=4,
        load_from=path,
        optim_wrapper__optimizer__lr=0.0,
        custom_hooks=[
            dict(type=f'lore_mm.{name}')
            for name in (
                'ClassEmbeddingHook',
                'NegativeLabelHook',
                'PromptStartHook',
                'HeadWarmStartHook',
            )
        ],
    )
    runner.train()
    log = log_of(runner)
    assert 'Prompt start skipped' in log
    assert 'Head warm start: logistic regression on' in log
    assert 'backbone is taken over, the rest' in log_of(runner)
    ours, theirs = runner.model.state_dict(), first.model.state_dict()
    for name, parameter in runner.model.backbone.named_parameters():
        assert torch.equal(parameter, theirs[f'backbone.{name}']), name
    assert ours['head.fc.weight'].shape[0] == 4


def test_training_on_the_same_classes_takes_all(trained, tiny_runner):
    first, path = trained
    options = dict(name='on', load_from=path, optim_wrapper__optimizer__lr=0.0)
    runner = tiny_runner(**options)
    runner.train()
    weight = first.model.head.fc.weight
    assert torch.equal(runner.model.head.fc.weight, weight)
    # Or what is asked for.
    runner = tiny_runner(
        default_hooks__trained_weights__load_modules=['backbone'], **options
    )
    runner.train()
    assert not torch.equal(runner.model.head.fc.weight, weight)
    options['default_hooks__trained_weights__load_modules'] = ['bckbone']
    with pytest.raises(CheckpointError, match='load_modules names bckbone; '):
        tiny_runner(**options).train()


def test_parts_that_the_model_lacks_are_left_out(trained, tiny_runner):
    """A checkpoint with a neck fits a model without one."""
    _, path = trained
    runner = tiny_runner(model__neck=None, load_from=path)
    runner.test()
    assert 'as the model has none: neck.' in log_of(runner)


def test_missing_and_unexpected_keys_are_named(trained, tiny_runner):
    _, path = trained
    content = torch.load(path, weights_only=True)
    state = content['state_dict']
    key = next(k for k in state if 'white_box' in k)
    value = state.pop(key)
    torch.save(content, path)
    runner = tiny_runner(load_from=path)
    with pytest.raises(CheckpointError, match=f'misses {key}'):
        runner.test()
    state.update({key: value, 'head.more': value})
    torch.save(content, path)
    runner = tiny_runner(load_from=path)
    with pytest.raises(CheckpointError, match='unexpected head.more'):
        runner.test()


def test_best_checkpoint_is_not_resumed(trained, tiny_runner):
    first, _ = trained
    best = first.message_hub.get_info('best_ckpt')
    runner = tiny_runner(load_from=best, resume=True)
    with pytest.raises(CheckpointError, match='no optimizer to resume from'):
        runner.train()


def test_resume_restores_the_logs(trained, tiny_runner):
    first, path = trained
    runner = tiny_runner(load_from=path, resume=True)
    runner.train()
    loss, before = (
        r.message_hub.get_scalar('train/loss').data[0] for r in (runner, first)
    )
    assert len(loss) == 2 * len(before)
    assert loss[: len(before)].tolist() == before.tolist()


def test_nothing_to_resume(tiny_runner):
    runner = tiny_runner(resume=True, train_cfg__max_epochs=1)
    runner.train()
    assert 'nothing to resume in' in log_of(runner)
    assert runner.epoch == 1


def test_resume_in_a_moved_folder(trained, tiny_runner, tmp_path):
    first, _ = trained
    moved = tmp_path / 'moved'
    shutil.move(first.work_dir, moved)
    runner = tiny_runner(resume=True, work_dir=str(moved))
    runner.train()
    assert f'Load checkpoint from {moved}/epoch_1.pth' in log_of(runner)
    assert runner.epoch == 2
    assert sorted(p.name for p in moved.glob('epoch_*')) == ['epoch_2.pth']
    best = Path(runner.message_hub.get_info('best_ckpt'))
    assert best.parent == moved
    assert sorted(moved.glob('best_*')) == [best]
