"""What the tools do with their options and with failures."""

import argparse
import errno
import json
import os
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from mmengine.config import Config

from lore_mm.engine import CheckpointError, ConfigError, launch
from lore_mm.engine.config_file import read_config_file
from lore_mm.engine.failures import error_line, run_main
from lore_mm.engine.launch import (
    add_common_arguments,
    apply_test_args,
    apply_train_args,
    load_config,
    write_metrics,
)


@pytest.fixture
def train_args(tiny_config):
    def make(*words, **options):
        parser = argparse.ArgumentParser()
        add_common_arguments(parser)
        args = parser.parse_args(list(words))
        train = dict(
            no_validate=False, seed=None, auto_scale_lr=False, resume=None
        )
        for name, value in {**train, **options}.items():
            setattr(args, name, value)
        args.config = str(tiny_config())
        return args

    return make


def train_config(args):
    cfg = load_config(args)
    apply_train_args(cfg, args)
    return cfg


@pytest.mark.parametrize(
    'launcher,before,expected',
    [
        ('mpi', None, '3'),
        ('mpi', '0', '3'),
        ('pytorch', '1', '1'),
        ('none', None, '0'),
    ],
)
def test_local_rank(train_args, monkeypatch, launcher, before, expected):
    monkeypatch.setenv('OMPI_COMM_WORLD_LOCAL_RANK', '3')
    monkeypatch.setenv('LOCAL_RANK', before or '')
    if before is None:
        monkeypatch.delenv('LOCAL_RANK')
    load_config(train_args('--launcher', launcher))
    assert os.environ['LOCAL_RANK'] == expected


def test_work_dir(train_args, tiny_config, tmp_path):
    assert train_config(train_args()).work_dir == f'{tmp_path}/work/tiny'
    assert train_config(train_args('--work-dir', 'here')).work_dir == 'here'
    path = tiny_config(name='plain', work_dir=None)
    args = train_args()
    args.config = str(path)
    assert train_config(args).work_dir == os.path.join('work_dirs', 'plain')


def test_setting_that_is_no_number(train_args, tmp_path, monkeypatch):
    args = train_args()
    args.config = str(tmp_path / 'sized.py')
    (tmp_path / 'sized.py').write_text("_n = int('{{$LORE_IMG_SIZE:224}}')")
    monkeypatch.setenv('LORE_IMG_SIZE', 'abc')
    with pytest.raises(ConfigError, match='sized.py: .*LORE_IMG_SIZE is .abc'):
        load_config(args)


@pytest.mark.parametrize(
    'name,text,said',
    [
        ('own', 'a = (\n', 'own.py: syntax error, .*never closed .line 1.$'),
        ('own', 'a = nope\n', "own.py: name 'nope' is not defined"),
        ('base', 'a = 1,\nb = a.c\n', 'own.py: .*no attribute .c'),
        ('gone', '', 'own.py: .*No such file.*base.py'),
        ('base', 'a = (\n', 'own.py: syntax error, here or in a _base_'),
    ],
)
def test_config_that_cannot_be_run(train_args, tmp_path, name, text, said):
    args = train_args()
    args.config = str(tmp_path / 'own.py')
    (tmp_path / 'own.py').write_text("_base_ = ['base.py']\n")
    (tmp_path / f'{name}.py').write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(args)


def test_unknown_config(train_args):
    args = train_args()
    args.config = 'lore/no_such_config'
    with pytest.raises(FileNotFoundError, match='no_such_config'):
        load_config(args)


def test_options_come_last(train_args):
    args = train_args(
        '--cfg-options', 'train_cfg.max_epochs=7', 'randomness.seed=5', seed=3
    )
    cfg = train_config(args)
    assert cfg.train_cfg.max_epochs == 7
    assert cfg.randomness.seed == 5
    assert train_config(train_args(seed=3)).randomness.seed == 3


@pytest.mark.parametrize(
    'bad', ['epochs', 'a=[1,(2', "a=dict(type='x')", 'a=[dict(b=1,c=2)]']
)
def test_unreadable_option_is_named(train_args, bad, capsys):
    with pytest.raises(SystemExit):
        train_args('--cfg-options', 'b=1', bad)
    assert f'{bad!r} is no KEY=VALUE' in capsys.readouterr().err


def test_loaders(train_args):
    args = train_args(
        '--cfg-options',
        'train_dataloader.num_workers=2',
        'val_dataloader.persistent_workers=False',
    )
    cfg = train_config(args)
    assert cfg.train_dataloader.persistent_workers is False
    assert cfg.train_dataloader.collate_fn.type == 'default_collate'
    assert cfg.train_dataloader.pin_memory is torch.cuda.is_available()
    assert cfg.val_dataloader.persistent_workers is False


@pytest.mark.parametrize('persistent', [True, False])
def test_loaders_without_pinned_memory_or_lasting_workers(
    train_args, monkeypatch, persistent
):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    options = ('--cfg-options', 'load_from=None')
    workers = dict(num_workers=2, persistent_workers=True)
    for pinned in (True, False):
        args = train_args(*([] if pinned else ['--no-pin-memory']), *options)
        args.no_persistent_workers = not persistent
        cfg = load_config(args)
        cfg.val_dataloader.update(workers)
        apply_train_args(cfg, args)
        for name in ('train', 'val', 'test'):
            assert cfg[f'{name}_dataloader'].pin_memory is pinned
        assert cfg.val_dataloader.persistent_workers is persistent


def test_no_validate(train_args):
    cfg = train_config(train_args(no_validate=True))
    assert cfg.train_cfg.val_begin > 10**9
    assert cfg.val_dataloader is not None


def test_auto_scale_lr(train_args):
    with pytest.raises(ConfigError, match='auto_scale_lr=dict.base_batch'):
        train_config(train_args(auto_scale_lr=True))


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a CPU machine')
def test_amp_without_cuda(train_args):
    cfg = train_config(train_args('--amp'))
    assert cfg.optim_wrapper.type == 'lore_mm.BFloat16OptimWrapper'
    assert 'loss_scale' not in cfg.optim_wrapper


def test_resume(train_args, tmp_path):
    cfg = train_config(train_args(resume='a.pth'))
    assert (cfg.resume, cfg.load_from) == (True, 'a.pth')
    work = tmp_path / 'work' / 'tiny'
    # Without a checkpoint a run starts, from load_from where there is one.
    cfg = train_config(train_args(resume='auto'))
    assert (cfg.resume, cfg.load_from) == (True, None)
    from_other = ('--cfg-options', 'load_from=b.pth')
    cfg = train_config(train_args(*from_other, resume='auto'))
    assert (cfg.resume, cfg.load_from) == (False, 'b.pth')
    work.mkdir(parents=True)
    (work / 'epoch_1.pth').touch()
    (work / 'last_checkpoint').write_text('epoch_1.pth')
    cfg = train_config(train_args(*from_other, resume='auto'))
    assert (cfg.resume, cfg.load_from) == (True, str(work / 'epoch_1.pth'))


def test_test_args(train_args):
    # A training that started from b.pth hands its options on.
    args = train_args('--amp', '--cfg-options', 'load_from=b.pth')
    args.checkpoint = 'a.pth'
    cfg = load_config(args)
    apply_test_args(cfg, args)
    assert (cfg.resume, cfg.load_from) == (False, 'a.pth')
    assert cfg.test_cfg.fp16
    with pytest.raises(ConfigError, match='no test_cfg'):
        apply_test_args(Config(dict()), args)


def test_write_metrics(tmp_path):
    path = tmp_path / 'new' / 'metrics.json'
    metrics = {
        'accuracy/top1': np.float32(0.5),
        'per_class': torch.tensor([0.25, 0.75]),
        'matrix': np.eye(2),
        'no_images': np.float32('nan'),
        'nested': [{'a': torch.tensor([1.0, torch.inf])}],
    }
    write_metrics(metrics, path)
    assert json.loads(path.read_text()) == {
        'accuracy/top1': 0.5,
        'per_class': [0.25, 0.75],
        'matrix': [[1.0, 0.0], [0.0, 1.0]],
        'no_images': None,
        'nested': [{'a': [1.0, None]}],
    }
    assert 'NaN' not in path.read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason='speaks of CPUs')
@pytest.mark.parametrize('pays', [True, False])
def test_auto_amp(train_args, monkeypatch, pays):
    monkeypatch.setattr(launch, 'mixed_precision_pays', lambda: pays)
    args = train_args('--auto-amp')
    kind = train_config(args).optim_wrapper.get('type', '')
    assert ('BFloat16' in kind) is pays
    args.checkpoint = 'none'
    cfg = load_config(args)
    apply_test_args(cfg, args)
    assert cfg.test_cfg.get('fp16', False) is pays


@pytest.mark.skipif(torch.cuda.is_available(), reason='speaks of CPUs')
@pytest.mark.parametrize('pays', [True, False])
@pytest.mark.parametrize('training', [True, False])
def test_slow_amp_is_told(train_args, monkeypatch, training, pays):
    monkeypatch.setattr(launch, 'mixed_precision_pays', lambda: pays)
    args = train_args('--amp')
    cfg = load_config(args)
    if training:
        apply_train_args(cfg, args)
    else:
        args.checkpoint = 'none'
        apply_test_args(cfg, args)
    runner = MagicMock()
    monkeypatch.setattr(launch.Runner, 'from_cfg', lambda cfg: runner)
    launch.build_runner(cfg)
    told = [call.args[0] for call in runner.logger.warning.call_args_list]
    assert ['no instructions for bfloat16' in text for text in told] == (
        [] if pays else [True]
    )


def raiser(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    'error,line',
    [
        (ValueError('bad\n  value'), 'bad value'),
        (CheckpointError('does not fit'), 'does not fit'),
        (FileNotFoundError(errno.ENOENT, 'No such file', 'a.py'), "'a.py'"),
        (
            OSError(errno.ENOSPC, 'No space left on device'),
            'No space left on device; checkpoints that were written before',
        ),
        (TypeError("A.__init__() got an unexpected 'b'"), "unexpected 'b'"),
        (
            KeyError('B is not in the x registry. Please check whether'),
            'B is not in the x registry',
        ),
        (KeyboardInterrupt(), None),
        (TypeError('a bug'), None),
        (KeyError('a bug'), None),
        (RuntimeError('a bug'), None),
    ],
    ids=repr,
)
def test_expected_failures_end_in_one_line(error, line):
    if line is None:
        with pytest.raises(type(error)):
            run_main(raiser(error))
        return
    with pytest.raises(SystemExit) as failure:
        run_main(raiser(error))
    message = failure.value.code
    assert message.startswith('error: ')
    assert line in message
    assert '\n' not in message


def test_error_of_a_loading_process():
    text = (
        'Caught ValueError in DataLoader worker process 0.\n'
        'Original Traceback (most recent call last):\n  File "a.py"\n'
        'ValueError: image a.png: is truncated\n'
    )
    assert error_line(ValueError(text)) == 'image a.png: is truncated'


def test_traceback_goes_to_the_log(tiny_runner):
    runner = tiny_runner(load_from='gone.pth')
    with pytest.raises(SystemExit, match='gone.pth does not exist'):
        run_main(runner.test)
    with open(runner.logger.handlers[1].baseFilename) as log:
        assert 'Traceback (most recent call last)' in log.read()


@pytest.mark.parametrize(
    'option', ['visualizer.vis_backends.7.type=A', 'train_cfg.max_epochs.a=1']
)
def test_option_that_does_not_fit_is_named(train_args, option):
    key = option.partition('=')[0]
    with pytest.raises(ConfigError, match=f'{key}=. does not fit'):
        train_config(train_args('--cfg-options', option))


@pytest.mark.parametrize('last', [True, False])
def test_options_are_merged_together(train_args, last):
    words = [
        'optim_wrapper.optimizer.type=SGD',
        'optim_wrapper.optimizer.lr=2',
    ]
    words.insert(2 if last else 0, 'optim_wrapper.optimizer._delete_=True')
    cfg = train_config(train_args('--cfg-options', *words))
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=2)


@pytest.mark.parametrize(
    'size,factor', [(224, 2), (56, 8), (518, 1), (None, None)]
)
def test_drawn_images_have_room_for_names(tmp_path, size, factor):
    hook = dict(type='VisualizationHook', enable=False)
    cfg = Config(dict(default_hooks=dict(visualization=hook), img_size=size))
    launch._draw_classes(cfg, str(tmp_path), 3)
    assert cfg.default_hooks.visualization.get('rescale_factor') == factor
    assert cfg.default_hooks.visualization.interval == 3


@pytest.mark.parametrize(
    'name, fits',
    [
        ('lore/vit-s_textile', True),
        ('retrieval/arcface_vit-s_grocery', True),  # trains a classifier
        ('correspondence/vit-s_pf-willow', False),
        ('retrieval/vit-s_scenes', False),
        ('vos/vit-s_davis2017', False),
        ('segmentation/vit-s_folder', False),
    ],
)
def test_classes_are_drawn_for_classifiers_alone(tmp_path, name, fits):
    """Retrieval and correspondence have the hook too, by their base."""
    cfg = read_config_file(name)
    if fits:
        launch._draw_classes(cfg, str(tmp_path), 1)
        assert cfg.default_hooks.visualization.enable
        return
    with pytest.raises(ConfigError, match='--show-dir .* needs a classifier'):
        launch._draw_classes(cfg, str(tmp_path), 1)
