"""Mixup and CutMix of mmpretrain, in training with all parts of LORE."""

import pytest
import torch

from lore_mm.models import PrototypeConstraintLoss


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'cache'))


def test_mixed_images_train(tiny_runner, monkeypatch):
    targets = []
    forward = PrototypeConstraintLoss.forward

    def spy(self, latent, prototypes, target, predicted):
        targets.append(target)
        return forward(self, latent, prototypes, target, predicted)

    monkeypatch.setattr(PrototypeConstraintLoss, 'forward', spy)
    augments = [dict(type=name, alpha=1.0) for name in ('Mixup', 'CutMix')]
    runner = tiny_runner(
        train_cfg__max_epochs=1, model__train_cfg=dict(augments=augments)
    )
    runner.train()
    shares = torch.cat(targets)
    assert shares.shape[1] == 3
    torch.testing.assert_close(shares.sum(1), torch.ones(len(shares)))
    assert ((shares > 0.05) & (shares < 0.95)).any()
