"""num_classes=None is filled from the data; wrong numbers are refused."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmpretrain.registry import DATASETS

from lore_mm.engine import ConfigError, fill_num_classes

NAMES = ['a', 'b', 'c', 'd']


def folder(root, split='train', **kwargs):
    return dict(
        type='lore_mm.ImageFolder',
        data_root=str(root),
        split=split,
        **kwargs,
    )


def named(classes=NAMES):
    """A stock data set that knows its classes before it reads a file."""
    return dict(
        type='CustomDataset',
        data_root='nowhere',
        metainfo=dict(classes=classes),
    )


def config(train=None, val=None, test=None, number=None, **model):
    loaders = dict(train=train, val=val, test=test)
    return Config(
        dict(
            default_scope='mmpretrain',
            data_preprocessor=dict(num_classes=number),
            model=dict(head=dict(num_classes=number), **model),
            **{
                f'{name}_dataloader': dict(dataset=dataset)
                for name, dataset in loaders.items()
                if dataset is not None
            },
        )
    )


@pytest.fixture
def root(tiny_image_folder) -> Path:
    return tiny_image_folder(num_classes=3, per_class=6, size=8)


def test_every_part_is_filled(root):
    cfg = config(
        folder(root),
        neck=dict(num_classes=None),
        decode_head=dict(num_classes=None),
        auxiliary_head=[dict(num_classes=None), dict(channels=1)],
        data_preprocessor=dict(num_classes=None),
        backbone=dict(num_classes=None),
    )
    fill_num_classes(cfg)
    model = cfg.model
    parts = [model.head, model.neck, model.decode_head, cfg.data_preprocessor]
    parts += [model.auxiliary_head[0], model.data_preprocessor]
    assert [part.num_classes for part in parts] == [3] * 6
    assert model.auxiliary_head[1] == dict(channels=1)
    assert model.backbone.num_classes is None


@pytest.mark.parametrize(
    'wrap',
    [
        lambda d: dict(type='RepeatDataset', times=2, dataset=d),
        lambda d: dict(type='ConcatDataset', datasets=[d, d]),
        lambda d: dict(type='lore_mm.HoldOut', part='train', dataset=d),
        lambda d: dict(
            type='lore_mm.FewShotSubset',
            shots=2,
            dataset=dict(type='RepeatDataset', times=2, dataset=d),
        ),
    ],
    ids=['repeat', 'concat', 'hold-out', 'nested'],
)
def test_wrapped_data_set(root, wrap):
    cfg = config(wrap(folder(root)))
    fill_num_classes(cfg)
    assert cfg.model.head.num_classes == 3


def test_no_file_is_read_where_names_are_known():
    cfg = config(named())
    fill_num_classes(cfg)
    assert cfg.model.head.num_classes == 4


def test_a_built_data_set(root):
    cfg = config()
    cfg.train_dataloader = dict(dataset=DATASETS.build(folder(root)))
    fill_num_classes(cfg)
    assert cfg.model.head.num_classes == 3


def test_validation_and_test_sets_stand_in(root, tmp_path):
    gone = folder(tmp_path / 'gone')
    for sets in (dict(val=folder(root, 'val')), dict(test=folder(root))):
        for train in (None, gone):
            cfg = config(train, **sets)
            fill_num_classes(cfg)
            assert cfg.model.head.num_classes == 3


def test_missing_folder_is_named(tmp_path):
    cfg = config(folder(tmp_path / 'gone'), val=folder(tmp_path / 'other'))
    with pytest.raises(FileNotFoundError, match="'.*gone' does not exist"):
        fill_num_classes(cfg)


def test_missing_folder_does_not_matter_to_given_numbers(tmp_path):
    cfg = config(folder(tmp_path / 'gone'), number=7)
    fill_num_classes(cfg)
    assert cfg.model.head.num_classes == 7


def test_number_that_disagrees(root):
    cfg = config(folder(root), neck=dict(num_classes=5))
    with pytest.raises(
        ConfigError,
        match='model.neck.num_classes is 5, but train_dataloader.dataset '
        'has 3 classes; set it to 3, or to None',
    ):
        fill_num_classes(cfg)


def test_data_set_without_names():
    cfg = config()
    with pytest.raises(ConfigError, match='model.head.num_classes is None'):
        fill_num_classes(Config(dict(model=cfg.model)))
    fill_num_classes(Config(dict(model=dict(head=dict(num_classes=7)))))
    fill_num_classes(Config(dict(model=dict(backbone=dict(depth=7)))))


def test_the_runners_files_have_the_number(tiny_runner):
    runner = tiny_runner(
        model__head__num_classes=None,
        model__neck__num_classes=None,
        model__data_preprocessor__num_classes=None,
        train_cfg__max_epochs=1,
    )
    assert runner.model.head.fc.out_features == 3
    runner.train()
    work = Path(runner.work_dir)
    checkpoint = torch.load(work / 'epoch_1.pth', weights_only=True)
    saved = Config.fromstring(checkpoint['meta']['cfg'], '.py')
    dumped = Config.fromfile(next(work.glob('*.py')))
    for cfg in (saved, dumped):
        assert cfg.model.head.num_classes == 3
        assert cfg.model.neck.num_classes == 3
        assert cfg.model.data_preprocessor.num_classes == 3


def test_the_users_config_is_left_alone(tiny_config):
    cfg = Config.fromfile(tiny_config(model__head__num_classes=None))
    cfg.experiment_name = 'left_alone'
    runner = RUNNERS.build(cfg)
    assert cfg.model.head.num_classes is None
    assert runner.cfg.model.head.num_classes == 3
