import copy

import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from lore_mm.engine.hooks import NormStatisticsHook
from lore_mm.models.white_box.norm import TokenBatchNorm
from lore_mm.registry import HOOKS

NUM_TRAIN, BATCH = 48, 8  # of the tiny run
CLOSE = dict(rtol=1e-4, atol=1e-5)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def measured(monkeypatch):
    """The epochs done at each measurement."""
    epochs = []
    measure = NormStatisticsHook.measure

    def spy(self, runner):
        epochs.append(runner.epoch)
        measure(self, runner)

    monkeypatch.setattr(NormStatisticsHook, 'measure', spy)
    return epochs


@pytest.fixture
def run(tiny_runner):
    """Factory of a runner with the hook, before its training."""

    def make(epochs=2, augment=False, hook=None, **kwargs):
        hook = dict(type='lore_mm.NormStatisticsHook', **(hook or {}))
        return tiny_runner(
            augment=augment,
            custom_hooks=[hook],
            train_cfg__max_epochs=epochs,
            train_cfg__val_interval=9,  # only the pipeline is needed
            default_hooks__checkpoint__save_best=None,
            **kwargs,
        )

    return make


def hook_of(runner):
    return next(h for h in runner.hooks if isinstance(h, NormStatisticsHook))


def norms(module):
    found = [m for m in module.modules() if isinstance(m, TokenBatchNorm)]
    assert len(found) == 8  # 5 in LIN, 1 in psi1, 2 in psi2
    return found


def statistics(module):
    return [
        torch.stack([norm.running_mean, norm.running_var])
        for norm in norms(module)
    ]


@torch.no_grad()
def direct(runner, num_samples=NUM_TRAIN):
    """Plain averages over training batches, of a copy in train mode."""
    backbone = copy.deepcopy(runner.model.backbone).train()
    seen = [[] for _ in norms(backbone)]
    for norm, batches in zip(norms(backbone), seen, strict=True):
        norm.frozen_statistics = False

        def collect(_, args, batches=batches):
            rows = args[0].flatten(0, -2)
            batches.append(torch.stack([rows.mean(0), rows.var(0)]))

        norm.register_forward_pre_hook(collect)
    dataset = runner.train_dataloader.dataset
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(dataset), generator=generator)[:num_samples]
    for start in range(0, len(order) - BATCH + 1, BATCH):
        batch = [dataset[int(i)] for i in order[start : start + BATCH]]
        data = runner.model.data_preprocessor(pseudo_collate(batch), False)
        backbone(data['inputs'])
    return [torch.stack(batches).mean(0) for batches in seen]


# -- measuring -----------------------------------------------------------
def build_loop(runner):
    """What ``runner.train()`` does before the first hook."""
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner._val_loop = runner.build_val_loop(runner._val_loop)
    return runner


@pytest.mark.parametrize('num_samples', [2048, 20])
def test_equal_a_direct_computation(run, num_samples):
    runner = build_loop(run(hook=dict(num_samples=num_samples)))
    hook_of(runner).measure(runner)
    torch.testing.assert_close(
        statistics(runner.model),
        direct(runner, min(num_samples, NUM_TRAIN)),
        **CLOSE,
    )


def test_images_are_not_augmented(run):
    plain = build_loop(run(name='plain'))
    augmented = build_loop(run(name='augmented', augment=True))
    augmented.model.load_state_dict(plain.model.state_dict())
    for runner in (plain, augmented):
        hook_of(runner).measure(runner)
    torch.testing.assert_close(
        statistics(plain.model), statistics(augmented.model), rtol=0, atol=0
    )


def test_leaves_no_trace_but_statistics(run):
    """Modes, weights and random numbers stay; dropout is off."""
    runner = build_loop(run(model__backbone__white_box__drop_rate=0.9))
    runner.model.train()
    modes = [m.training for m in runner.model.modules()]
    weights = [p.clone() for p in runner.model.parameters()]
    random = torch.get_rng_state()
    hook = hook_of(runner)
    hook.measure(runner)
    first = statistics(runner.model)
    hook.measure(runner)
    torch.testing.assert_close(statistics(runner.model), first)
    assert torch.equal(torch.get_rng_state(), random)
    assert [m.training for m in runner.model.modules()] == modes
    for parameter, weight in zip(
        runner.model.parameters(), weights, strict=True
    ):
        assert torch.equal(parameter, weight)
        assert parameter.grad is None
    assert not any(norm.measuring for norm in norms(runner.model))


def test_model_without_batch_norm(run, monkeypatch):
    runner = build_loop(run(model__backbone__white_box__norm='layer'))
    monkeypatch.setattr(NormStatisticsHook, '_loader', None)  # not called
    state = copy.deepcopy(runner.model.state_dict())
    hook_of(runner).before_train(runner)
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, state[name])


# -- freeze --------------------------------------------------------------
@pytest.mark.parametrize('epochs, expected', [(0, [0]), (2, [0, 0, 1])])
def test_freeze_measures_first_epochs_only(run, measured, epochs, expected):
    runner = run(epochs=3, hook=dict(epochs=epochs))
    runner.train()
    assert measured == expected
    assert all(norm.frozen_statistics for norm in norms(runner.model))


def check_modes_agree(model):
    images = torch.randn(BATCH, 3, 64, 64)
    with torch.no_grad():
        train = model.train().backbone(images).cls_token
        evaluated = model.eval().backbone(images).cls_token
    torch.testing.assert_close(train, evaluated, rtol=1e-4, atol=1e-4)


def test_freeze_keeps_statistics_of_the_first_epoch(run, measured):
    runner = run(epochs=3)
    hook, kept = hook_of(runner), []
    after = hook.after_train_epoch

    def record(runner):
        before = statistics(runner.model)
        after(runner)
        kept.append((before, statistics(runner.model)))
        if len(kept) == 1:
            expected.extend(direct(runner))

    expected = []
    hook.after_train_epoch = record
    runner.train()
    assert measured == [0, 0]
    exact = dict(rtol=0, atol=0)
    torch.testing.assert_close(kept[0][1], expected, **CLOSE)
    for before, later in kept[1:]:
        torch.testing.assert_close(before, kept[0][1], **exact)
        torch.testing.assert_close(later, kept[0][1], **exact)
    assert not torch.equal(kept[0][0][0], kept[0][1][0])
    # the weights went on: it is the statistics that stood still
    moved = (direct(runner)[0] - expected[0]).abs().max()
    assert moved > 1e-4
    check_modes_agree(runner.model)


def test_resumed_run_keeps_frozen_statistics(run, measured):
    first = run(epochs=2, name='run')
    first.train()
    frozen = statistics(first.model)
    measured.clear()
    second = run(epochs=3, name='run', resume=True)
    assert not any(norm.frozen_statistics for norm in norms(second.model))
    second.train()
    assert second.epoch == 3
    assert measured == []
    torch.testing.assert_close(
        statistics(second.model), frozen, rtol=0, atol=0
    )
    assert all(norm.frozen_statistics for norm in norms(second.model))


def test_run_resumed_before_the_freeze_measures_on(run, measured):
    run(epochs=1, name='run', hook=dict(epochs=2)).train()
    measured.clear()
    run(epochs=3, name='run', hook=dict(epochs=2), resume=True).train()
    assert measured == [1]


# -- recompute -----------------------------------------------------------
def test_recompute_fits_the_final_weights(run, measured):
    runner = run(epochs=2, hook=dict(mode='recompute'))
    runner.train()
    assert measured == [0, 0, 1]
    torch.testing.assert_close(
        statistics(runner.model), direct(runner), **CLOSE
    )
    assert not any(norm.frozen_statistics for norm in norms(runner.model))
    saved = torch.load(
        f'{runner.work_dir}/epoch_2.pth', map_location='cpu', weights_only=True
    )['state_dict']
    state = runner.model.state_dict()
    running = [name for name in saved if '.running_' in name]
    assert len(running) == 16
    for name in running:
        assert torch.equal(saved[name], state[name]), name


def test_recompute_beside_averaged_weights(run):
    """The average would be validated on statistics of other weights."""
    average = dict(type='EMAHook')
    for mode, norm in [('freeze', None), ('recompute', 'layer')]:
        runner = run(
            epochs=1,
            name=mode,
            hook=dict(mode=mode),
            model__backbone__white_box__norm=norm,
        )
        runner.register_hook(average)
        runner.train()
        saved = torch.load(
            f'{runner.work_dir}/epoch_1.pth', weights_only=True
        )['state_dict']
        # What was validated: the average beside the measured statistics.
        for key, value in runner.model.named_buffers():
            if '.running_' in key:
                assert torch.equal(saved[key], value), key
    runner = run(hook=dict(mode='recompute'))
    runner.register_hook(average)
    with pytest.raises(ValueError, match="EMAHook .* set mode='freeze'"):
        runner.train()


# -- building ------------------------------------------------------------
@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(mode='keep'), "mode must be one of .* got 'keep'"),
        (dict(epochs=-1), 'epochs must be 0 or more, got -1'),
        (dict(num_samples=1), 'num_samples must be at least 2, got 1'),
    ],
)
def test_constructor_errors(kwargs, match):
    with pytest.raises(ValueError, match=match):
        HOOKS.build(dict(type='lore_mm.NormStatisticsHook', **kwargs))


@pytest.fixture
def by_iterations(tiny_runner):
    """Factory of a runner with the hook in a loop by iterations."""

    def make(mode):
        return tiny_runner(
            augment=False,
            custom_hooks=[dict(type='lore_mm.NormStatisticsHook', mode=mode)],
            train_cfg=dict(
                _delete_=True, by_epoch=False, max_iters=14, val_interval=4
            ),
            param_scheduler=None,
            default_hooks__checkpoint__save_best=None,
            default_hooks__checkpoint__by_epoch=False,
        )

    return make


def test_freezes_after_a_pass_of_a_loop_by_iterations(by_iterations):
    runner = by_iterations('freeze')
    frozen = []
    step = runner.model.train_step

    def spy(*args, **kwargs):
        frozen.append(norms(runner.model)[0].frozen_statistics)
        return step(*args, **kwargs)

    runner.model.train_step = spy
    runner.train()
    batches = NUM_TRAIN // BATCH
    assert frozen == [False] * batches + [True] * (14 - batches)


@pytest.mark.parametrize(
    'mode, expected',
    # passes end at 6 and 12, validation is at 4, 8 and 12, the end at 14
    [('recompute', [1, 4, 6, 8, 12, 14]), ('freeze', [1, 4, 6])],
)
def test_when_a_loop_by_iterations_measures(
    by_iterations, monkeypatch, mode, expected
):
    done = []
    measure = NormStatisticsHook.measure

    def spy(self, runner):
        done.append(runner.iter + 1)
        measure(self, runner)

    monkeypatch.setattr(NormStatisticsHook, 'measure', spy)
    by_iterations(mode).train()
    assert done == expected


def test_measures_with_batches_of_one(run):
    runner = run(epochs=1, train_dataloader__batch_size=1)
    hook_of(runner).before_train(runner)
    assert torch.isfinite(statistics(runner.model.backbone)[0]).all()


def test_measures_where_a_batch_sampler_tells_no_batch_size(run):
    runner = run(epochs=1)
    loader = runner.build_dataloader(runner.cfg.train_dataloader)
    runner.train_loop.dataloader = DataLoader(
        loader.dataset,
        batch_sampler=[[0, 1, 2], [3, 4]],
        collate_fn=loader.collate_fn,
    )
    hook_of(runner).before_train(runner)
    assert torch.isfinite(statistics(runner.model.backbone)[0]).all()
