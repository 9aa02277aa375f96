"""Parts of a classifier that nothing feeds or reads are left out."""

import pytest
import torch

from lore_mm.engine.unread_parts import leave_out_unread_parts
from lore_mm.models import LOREViT

DIMS = 64  # of test_vit


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'cache'))


@pytest.mark.parametrize('local', [0, 2 * DIMS])
def test_trains_as_a_linear_probe(tiny_runner, local):
    runner = tiny_runner(
        train_cfg__max_epochs=1,
        model__backbone__white_box=None,
        model__head__local_channels=local,
    )
    runner.train()
    model = runner.model
    assert not model.with_neck
    assert model.head.constraint is None
    assert model.head.fc.in_features == DIMS
    trained = [n for n, p in model.named_parameters() if p.requires_grad]
    assert trained == ['head.fc.weight', 'head.fc.bias']
    saved = torch.load(
        f'{runner.work_dir}/epoch_1.pth', map_location='cpu', weights_only=True
    )
    assert 'white_box=None' in saved['meta']['cfg'].replace(' ', '')


def test_no_constraint_needs_no_neck(tiny_runner):
    """Prototypes that nothing reads would be trained in vain."""
    runner = tiny_runner(train_cfg__max_epochs=1, model__head__constraint=None)
    runner.train()
    assert not runner.model.with_neck


@pytest.mark.parametrize(
    'change',
    [
        dict(backbone=dict(type='LOREViT', white_box=dict(preset='paper'))),
        dict(backbone=dict(type='PromptedViT')),
        dict(head=dict(type='LinearClsHead', constraint=1)),
    ],
    ids=['White Box', 'another backbone', 'another head'],
)
def test_what_stays(change):
    model = dict(
        backbone=dict(type=LOREViT, white_box=None),
        neck=dict(type='KnowledgeLocalityNeck'),
        head=dict(
            type='lore_mm.LOREHead', local_channels=4, constraint=dict()
        ),
    )
    model.update(change)
    before = {name: dict(part) for name, part in model.items()}
    leave_out_unread_parts(dict(model=model))
    assert model == before
