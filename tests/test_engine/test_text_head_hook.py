"""TextHeadHook: a text head in a run gets the names of its data."""

import pytest
import torch


@pytest.fixture
def options(tmp_path, monkeypatch) -> dict:
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'cache'))
    return dict(
        model__neck=None,
        model__backbone__white_box=None,
        model__head=dict(
            _delete_=True,
            type='lore_mm.CLIPAdapterHead',
            num_classes=3,
            in_channels=64,
            knowledge=dict(type='lore_mm.RandomTextEncoder', embed_dims=64),
        ),
        custom_hooks=[dict(type='lore_mm.TextHeadHook')],
        train_cfg__max_epochs=1,
    )


def test_trains_and_tests(tiny_runner, options) -> None:
    runner = tiny_runner(**options)
    runner.train()
    embeddings = runner.model.head.class_embeddings
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
    assert 0 <= runner.test()['accuracy/top1'] <= 100


def test_tests_without_training(tiny_runner, options) -> None:
    runner = tiny_runner(**options)
    runner.test()
    assert runner.model.head.class_embeddings.any()


def test_needs_names(tiny_runner, options) -> None:
    runner = tiny_runner(**options)
    runner.test_dataloader.dataset._metainfo.pop('classes')
    with pytest.raises(ValueError, match='has no class names to compare'):
        runner.test()
