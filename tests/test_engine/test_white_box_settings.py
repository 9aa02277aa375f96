"""Settings of a White Box that no tensor of a checkpoint shows."""

import pytest
import torch
from torch import nn

from lore_mm.engine import CheckpointError, load_trained_weights
from lore_mm.engine.white_box_settings import (
    check_white_boxes,
    white_box_settings,
)
from lore_mm.models.white_box import WhiteBox, WhiteBoxWithoutLIN


def model_with(white_box: nn.Module) -> nn.Module:
    model = nn.Module()
    model.backbone = nn.Module()
    model.backbone.white_box = white_box
    return model


def test_settings_are_those_without_weights():
    found = WhiteBox(8, 3, k=4).settings
    assert found['k'] == 4
    assert {'variant', 'pool', 'position', 'before_pre_norm'} <= set(found)
    assert 'top_patches' not in found  # of one pool alone
    assert (
        WhiteBox(8, 3, pool='outlier', top_patches=2).settings['top_patches']
        == 2
    )
    assert 'position' not in WhiteBox(8, 3, preset='extended').settings
    assert 'k' not in WhiteBoxWithoutLIN(8, 3, k=4).settings


def test_the_difference_and_the_way_out_are_told():
    saved = white_box_settings(model_with(WhiteBox(8, 3, k=4, pool='max')))
    model = model_with(WhiteBox(8, 3))
    with pytest.raises(
        CheckpointError,
        match="trained with pool='max', k=4 in 'backbone.white_box', where "
        "this model has pool='mean', k=9: .*--cfg-options "
        'model.backbone.white_box.pool=max model.backbone.white_box.k=4',
    ):
        check_white_boxes(saved, model)


def test_equal_settings_and_files_without_them_are_taken():
    model = model_with(WhiteBox(8, 3, k=4))
    check_white_boxes(white_box_settings(model), model)
    check_white_boxes({}, model)
    check_white_boxes({'backbone.white_box': {}}, model)


def test_a_checkpoint_is_refused_by_test_and_resume(tiny_runner):
    runner = tiny_runner(train_cfg__max_epochs=1)
    runner.train()
    path = f'{runner.work_dir}/epoch_1.pth'
    meta = torch.load(path, weights_only=True)['meta']
    assert meta['white_box'] == white_box_settings(runner.model)

    def other(**options):
        return tiny_runner(
            name='other',
            model__backbone__white_box__k=2,
            load_from=path,
            **options,
        )

    for task, options in (('test', {}), ('train', dict(resume=True))):
        with pytest.raises(CheckpointError, match=r'epoch_1.pth: .*k=9.*k=2'):
            getattr(other(**options), task)()
    with pytest.raises(CheckpointError, match=r'epoch_1.pth: .*k=9.*k=2'):
        load_trained_weights(other().model, path)
    # A training that starts from it may change them.
    other(train_cfg__max_epochs=1).train()
