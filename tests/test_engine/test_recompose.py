"""recompose: the same recipe for another data set or Black Box."""

from pathlib import Path

import pytest
from mmengine.config import Config

from lore_mm.engine.recompose import recompose

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SWAPS = dict(
    datasets=CONFIGS / '_base_/datasets/eurosat.py',
    black_boxes=CONFIGS / '_base_/black_boxes/clip-b16.py',
)


@pytest.mark.parametrize(
    'leaf',
    ['lore/vit-s_cub', 'ablation/vit-s_cub_k4', 'baselines/full_vit-s_cub'],
)
def test_data_set_and_black_box(tmp_path, leaf) -> None:
    leaf = CONFIGS / f'{leaf}.py'
    cfg = Config.fromfile(recompose(leaf, tmp_path / 'a' / 'c.py', SWAPS))
    old = Config.fromfile(leaf)
    assert cfg.template == 'a centered satellite photo of {}.'
    inner = cfg.train_dataloader.dataset.dataset
    assert inner.split_file == 'split_zhou_EuroSAT.json'
    assert cfg.model.head.in_channels == cfg.out_dims == 512
    assert cfg.optim_wrapper == old.optim_wrapper
    if cfg.model.get('neck'):
        assert cfg.model.neck.templates == cfg.template
        assert cfg.model.neck.text_dims == 512
        white_box = old.model.backbone.white_box
        assert cfg.model.backbone.white_box == white_box


def test_nothing_to_swap(tmp_path) -> None:
    leaf = CONFIGS / 'lore/vit-s_cub.py'
    copy = Config.fromfile(recompose(leaf, tmp_path / 'c.py', {}))
    assert copy.to_dict() == Config.fromfile(leaf).to_dict()


def test_what_is_no_leaf(tmp_path) -> None:
    base = CONFIGS / '_base_/models/lore.py'
    with pytest.raises(ValueError, match='has no _base_: it is no leaf'):
        recompose(base, tmp_path / 'c.py', SWAPS)
    alone = tmp_path / 'alone.py'
    alone.write_text(f"_base_ = ['{CONFIGS / '_base_/models/lore.py'}']\n")
    with pytest.raises(ValueError, match=r'no file of _base_/black_boxes'):
        recompose(alone, tmp_path / 'c.py', SWAPS)
