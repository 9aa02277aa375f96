"""Training and test must see the same model, whatever the White Box's norm.

With few steps the running statistics of batch norms lag behind: the trap that
:class:`NormStatisticsHook` and layer norm are for.
"""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from PIL import Image

BATCH = 24
FREEZE = [dict(type='lore_mm.NormStatisticsHook', mode='freeze')]
RECOMPUTE = [dict(type='lore_mm.NormStatisticsHook', mode='recompute')]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'cache'))


@pytest.fixture(autouse=True)
def _images(tmp_path):
    """Noise of any colour: the class is the colour of a small patch."""
    rng = np.random.default_rng(0)
    for split, count in dict(train=16, val=4, test=8).items():
        for label in range(3):
            folder = tmp_path / 'images_3' / split / f'class_{label}'
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.normal(rng.normal(128, 40, 3), 30, (64, 64, 3))
                x, y = rng.integers(0, 56, 2)
                pixels[y : y + 8, x : x + 8, label] += 100
                pixels = pixels.clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f'{i}.png')


@pytest.fixture
def parting(tiny_runner):
    """How far the two modes part after four steps: (accuracy, probability).

    The head reads Ê, so that the norms of the LIN tell.
    """

    def measure(hooks, norm, name='tiny'):
        runner = tiny_runner(
            name=name,
            augment=False,
            custom_hooks=hooks,
            model__backbone__white_box__norm=norm,
            model__head__local_channels=64,
            optim_wrapper__optimizer__lr=0.01,
            train_dataloader__batch_size=BATCH,
            train_cfg__max_epochs=2,
            train_cfg__val_interval=9,
            default_hooks__checkpoint__save_best=None,
        )
        runner.train()
        train, labels = predict(runner, training=True)
        test, _ = predict(runner, training=False)
        gained = (train.argmax(-1) == labels).float().mean() - (
            test.argmax(-1) == labels
        ).float().mean()
        moved = (train - test).abs().sum(-1).mean() / 2
        return float(gained), float(moved)

    return measure


@torch.no_grad()
def predict(runner, training):
    """Probabilities and labels of the training images, in either mode."""
    model = runner.model.train(training)
    dataset = runner.train_dataloader.dataset
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(dataset), generator=generator)
    found, labels = [], []
    for batch in order.split(BATCH):
        data = pseudo_collate([dataset[int(i)] for i in batch])
        data = model.data_preprocessor(data, False)
        logits = model.head(model.extract_feat(data['inputs']))
        found.append(logits.softmax(-1))
        labels += [int(sample.gt_label) for sample in data['data_samples']]
    return torch.cat(found), torch.tensor(labels)


def test_frozen_statistics_serve_both(parting):
    accuracy, probability = parting(FREEZE, 'batch')
    assert accuracy == 0
    assert probability < 1e-3


def test_recomputed_statistics_come_close(parting):
    """Against running statistics alone: these images tell the modes apart."""
    accuracy, probability = parting(RECOMPUTE, 'batch')
    assert abs(accuracy) <= 0.1
    assert probability < parting([], 'batch', name='running')[1] / 2


def test_layer_norm_knows_no_modes(parting):
    assert parting([], 'layer') == (0, 0)
