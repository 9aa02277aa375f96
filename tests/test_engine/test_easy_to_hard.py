"""Easy and hard images: by hand, by brute force, and as a training set."""

import itertools
import json

import pytest
import torch
from torch.nn.functional import normalize

from lore_mm.datasets.records import write_record
from lore_mm.engine.easy_to_hard import (
    choose,
    difficulty,
    herding,
    select_images,
)


@pytest.fixture(autouse=True)
def _plain_configs(monkeypatch) -> None:
    """Laying out the configs takes longer than the rest."""
    monkeypatch.setattr(
        'yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True)
    )


def test_herding_keeps_the_mean() -> None:
    torch.manual_seed(0)
    features = torch.randn(9, 3) + 2
    unit = normalize(features.double(), dim=-1)
    order = herding(features, 9)
    assert sorted(order) == list(range(9))
    taken: list[int] = []
    for step in order:  # each step is the best of all that were left
        gaps = {
            i: float((unit.mean(0) - unit[[*taken, i]].mean(0)).norm())
            for i in range(9)
            if i not in taken
        }
        assert gaps[step] == min(gaps.values())
        taken.append(step)
    assert herding(features, 3) == order[:3]
    assert len(herding(features, 20)) == 9


def test_difficulty_is_the_distance_to_the_centroid() -> None:
    features = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    found = difficulty(features)
    centroid = torch.tensor([2.0, 1.0]) / 5**0.5
    assert found.tolist() == pytest.approx(
        [1 - float(centroid[0])] * 2 + [1 - float(centroid[1])]
    )


def test_choice_is_class_by_class() -> None:
    torch.manual_seed(0)
    features, labels = torch.randn(20, 4), torch.arange(20) % 2
    features[6] = -features[labels == 0].mean(0) * 9
    hard = choose(features, labels, 2, 3, 'hardest')
    assert 6 in hard
    assert labels[hard].bincount().tolist() == [3, 3]
    assert hard == sorted(hard)
    easy = choose(features, labels, 2, 3, 'easiest')
    assert 6 not in easy
    for label in (0, 1):
        own = (labels == label).nonzero()[:, 0].tolist()
        far = difficulty(features[own])
        kept = [far[i] for i, image in enumerate(own) if image in hard]
        rest = [far[i] for i, image in enumerate(own) if image not in hard]
        assert all(a >= b for a, b in itertools.product(kept, rest))


def test_wrong_arguments() -> None:
    features, labels = torch.randn(4, 2), torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match='how must be one of .*easiest'):
        choose(features, labels, 2, 1, 'harder')
    with pytest.raises(ValueError, match='count must be at least 1, got 0'):
        choose(features, labels, 2, 0, 'hardest')


@pytest.mark.parametrize(
    'how,trained', [('easiest', False), ('hardest', True)]
)
def test_selected_images_are_a_training_set(
    tiny_runner, tmp_path, how, trained
) -> None:
    held = dict(
        _delete_=True, type='lore_mm.HoldOut', part='train', ratio=0.25
    )
    inner = dict(
        type='lore_mm.ImageFolder',
        data_root=str(tmp_path / 'images_3'),
        pipeline=[dict(type='lore_mm.LoadRGBImage'), dict(type='PackInputs')],
    )
    held['dataset'] = inner
    runner = tiny_runner(train_dataloader__dataset=held)
    record = select_images(runner, 2, how, trained)
    assert record['selected'] == {'how': how, 'per_class': 2}
    file = tmp_path / 'chosen.json'
    write_record(file, record)
    held = dict(held, indices_file=str(file))
    chosen = tiny_runner(train_dataloader__dataset=held).train_dataloader
    assert chosen.dataset.indices == json.loads(file.read_text())['indices']
    assert sorted(chosen.dataset.get_gt_labels()) == [0, 0, 1, 1, 2, 2]
    whole = set(runner.train_dataloader.dataset.indices)
    assert set(chosen.dataset.indices) < whole


def test_needs_a_seeded_subset(tiny_runner) -> None:
    with pytest.raises(ValueError, match='must be a HoldOut .*ImageFolder'):
        select_images(tiny_runner(), 2, 'easiest', False)
