"""Checkpoints of a run with EMAHook: tested, resumed, started from."""

import pytest
import torch
from mmengine.hooks import Hook

from lore_mm.engine import CheckpointError, safe_load_checkpoint
from lore_mm.engine.trained_weights import frozen_keys

# The one of mmpretrain reads more of a checkpoint than that of mmengine.
KINDS = ['EMAHook', 'mmengine.EMAHook']


class Spy(Hook):
    """Copies the weights that are tested, and those that training starts
    with."""

    priority = 'LOWEST'

    def __init__(self):
        self.seen = {}

    def before_test_epoch(self, runner):
        self.seen = copy(runner.model)

    def before_train_epoch(self, runner):
        self.seen = self.seen or copy(runner.model)


def copy(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


@pytest.fixture
def make(tiny_runner):
    def make(kind='EMAHook', hook=None, **options):
        hook = dict(type=kind, momentum=0.1, strict_load=True, **(hook or {}))
        runner = tiny_runner(
            custom_hooks=[hook, *options.pop('custom_hooks', [])], **options
        )
        runner.register_hook(Spy())
        return runner

    return make


def spied(runner):
    (spy,) = (hook for hook in runner.hooks if isinstance(hook, Spy))
    return spy.seen


def last(runner):
    return f'{runner.work_dir}/epoch_{runner.epoch}.pth'


def same(a, b):
    assert set(a) == set(b)
    for key, value in b.items():
        assert torch.equal(a[key], value), key


@pytest.fixture
def trained(make):
    """A run of one epoch and the content of its checkpoint."""
    runner = make(train_cfg__max_epochs=1)
    runner.train()
    return runner, safe_load_checkpoint(last(runner))


def test_content(trained):
    """Neither model holds a frozen tensor; the average stands first."""
    runner, content = trained
    own = runner.model.state_dict()
    kept = set(own) - frozen_keys(runner.model)
    assert set(content['state_dict']) == kept
    average = content['ema_state_dict']
    assert set(average) == {'steps'} | {f'module.{key}' for key in kept}
    assert average['steps'] == 6
    for key in kept:
        assert torch.equal(average[f'module.{key}'], own[key]), key
    key = 'head.fc.weight'
    assert not torch.equal(content['state_dict'][key], own[key])


@pytest.mark.parametrize('kind', [*KINDS, 'none'])
def test_the_average_is_tested(trained, make, tiny_runner, kind):
    first, content = trained
    if kind == 'none':
        runner = tiny_runner(load_from=last(first))
        runner.register_hook(Spy())
    else:
        runner = make(kind, load_from=last(first))
    runner.test()
    frozen = {k: first.model.state_dict()[k] for k in frozen_keys(first.model)}
    same(spied(runner), {**frozen, **content['state_dict']})


def test_weights_in_training_can_be_tested_too(trained, make):
    first, _ = trained
    hook = dict(evaluate_on_ema=False, evaluate_on_origin=True)
    runner = make(load_from=last(first), hook=hook)
    runner.test()
    same(spied(runner), first.model.state_dict())


@pytest.mark.parametrize('kind', KINDS)
def test_resumed_as_if_never_cut(make, kind):
    whole = make(kind, name='whole', train_cfg__max_epochs=3)
    whole.train()
    cut = make(kind, name='cut', train_cfg__max_epochs=3)
    cut.register_hook(Stop())
    with pytest.raises(KeyboardInterrupt):
        cut.train()
    resumed = make(kind, name='cut', train_cfg__max_epochs=3, resume=True)
    resumed.train()
    ends = [safe_load_checkpoint(last(run)) for run in (whole, resumed)]
    for part in ('state_dict', 'ema_state_dict'):
        same(ends[1][part], ends[0][part])
    assert ends[0]['ema_state_dict']['steps'] == 18
    scores = [
        run.message_hub.get_scalar('val/accuracy/top1').data[0].tolist()
        for run in (whole, resumed)
    ]
    assert scores[1][-2:] == scores[0][-2:]


class Stop(Hook):
    priority = 'LOWEST'

    def after_train_epoch(self, runner):
        raise KeyboardInterrupt


@pytest.mark.parametrize('kind', KINDS)
def test_training_starts_from_the_average(trained, make, kind):
    first, content = trained
    runner = make(
        kind,
        name='on',
        load_from=last(first),
        train_cfg__max_epochs=1,
        optim_wrapper__optimizer__lr=0.0,
    )
    runner.train()
    seen = spied(runner)
    for name, _ in runner.model.named_parameters():
        if name in content['state_dict']:
            assert torch.equal(seen[name], content['state_dict'][name]), name
    # A training of its own: its average starts anew.
    assert safe_load_checkpoint(last(runner))['ema_state_dict']['steps'] == 6


@pytest.mark.parametrize('kind', KINDS)
def test_training_on_other_classes(trained, make, kind):
    first, content = trained
    runner = make(kind, name='other', num_classes=4, load_from=last(first))
    runner.train()
    again = make(kind, name='other', num_classes=4, load_from=last(runner))
    again.test()
    assert spied(again)['head.fc.weight'].shape[0] == 4


def test_checkpoint_without_an_average(tiny_runner, make):
    first = tiny_runner(train_cfg__max_epochs=1)
    first.train()
    runner = make(load_from=last(first))
    runner.test()
    same(spied(runner), first.model.state_dict())


def test_checkpoint_with_the_whole_average(trained, make, tmp_path):
    """As it was saved once, with the frozen tensors of the second model."""
    first, content = trained
    box = {
        f'module.{key}': first.model.state_dict()[key]
        for key in frozen_keys(first.model)
    }
    content['ema_state_dict'].update(box)
    path = tmp_path / 'whole.pth'
    torch.save(content, path)
    runner = make(load_from=str(path), resume=True)
    runner.train()
    assert runner.epoch == 2
    next(iter(box.values())).add_(1)
    torch.save(content, path)
    with pytest.raises(CheckpointError, match='its own weights of the frozen'):
        make(load_from=str(path)).test()
