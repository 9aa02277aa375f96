"""A loss that is no number stops the run."""

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

from lore_mm.engine.hooks import FiniteLossHook, InvalidLossError


class Spoil(Hook):
    """Makes the head's weights NaN or infinite before an iteration."""

    def __init__(self, iteration, value):
        self.iteration, self.value = iteration, value

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            with torch.no_grad():
                runner.model.head.fc.weight[0, 0] = self.value


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_stops_and_names_the_terms(tiny_runner, value):
    runner = tiny_runner(train_cfg__max_epochs=3)
    runner.register_hook(Spoil(8, value))
    with pytest.raises(
        InvalidLossError,
        match=r'not finite at epoch 2, iteration 9: loss=nan, loss_cls=nan, '
        r'loss_kp=-?\d.*; learning rate .*Last checkpoint before it: '
        r'.*epoch_1.pth',
    ):
        runner.train()
    # Weights that a NaN has reached were not saved.
    assert sorted(p.name for p in Path(runner.work_dir).glob('*.pth')) == [
        'best_accuracy_top1_epoch_1.pth',
        'epoch_1.pth',
    ]


class SpoilGradient(Hook):
    """Makes the gradient of the head NaN in an iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train(self, runner):
        weight = runner.model.head.fc.weight
        weight.register_hook(
            lambda g: g * torch.nan if runner.iter == self.iteration else g
        )


@pytest.mark.parametrize('epochs', [2, 3])
def test_weights_spoilt_by_the_last_step_are_not_saved(tiny_runner, epochs):
    runner = tiny_runner(train_cfg__max_epochs=epochs)
    runner.register_hook(SpoilGradient(11))  # the last of epoch 2
    with pytest.raises(
        InvalidLossError,
        match='head.fc.weight is not finite after epoch .*was not saved. '
        'Last checkpoint before it: .*epoch_1.pth. Lower',
    ):
        runner.train()
    assert sorted(p.name for p in Path(runner.work_dir).glob('*.pth')) == [
        'best_accuracy_top1_epoch_1.pth',
        'epoch_1.pth',
    ]


def test_checks_every_interval(tiny_runner):
    runner = tiny_runner(default_hooks__finite_loss__interval=5)
    runner.register_hook(Spoil(1, float('nan')))
    with pytest.raises(InvalidLossError, match='iteration 5: '):
        runner.train()


@pytest.mark.parametrize('resume', [False, True])
def test_names_no_checkpoint_of_another_run(tiny_runner, resume):
    """The folder has one; it is this run's only where that is resumed."""
    tiny_runner(train_cfg__max_epochs=1).train()
    runner = tiny_runner(train_cfg__max_epochs=3, resume=resume)
    runner.register_hook(Spoil(6 if resume else 1, float('nan')))
    said = '.*epoch_1.pth' if resume else 'none'
    with pytest.raises(InvalidLossError, match=f'before it: {said}. Lower'):
        runner.train()


def test_interval_is_checked():
    with pytest.raises(ValueError, match='at least 1, got 0'):
        FiniteLossHook(interval=0)
