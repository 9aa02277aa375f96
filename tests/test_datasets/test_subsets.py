"""Seeded subsets: few shots and held-out parts of any data set."""

import json

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from mmengine.runner import Runner
from mmpretrain.datasets import BaseDataset, CustomDataset
from mmpretrain.registry import DATASETS

from lore_mm.datasets import FewShotSubset, HoldOut, split_images
from lore_mm.utils import SetupError


class Listed(BaseDataset):
    """A data set that is told its labels; it has no image files."""

    METAINFO = {'classes': ('ant', 'bee', 'cat')}

    def __init__(self, labels: list, **kwargs) -> None:
        self.labels = labels
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict]:
        return [
            dict(img_path=f'/r/{i}.png', gt_label=label)
            for i, label in enumerate(self.labels)
        ]


@pytest.fixture
def uneven() -> Listed:
    """12, 8 and 5 images, mixed."""
    labels = np.repeat([0, 1, 2], [12, 8, 5])
    return Listed(np.random.default_rng(0).permutation(labels).tolist())


def names(dataset) -> list[str]:
    infos = map(dataset.get_data_info, range(len(dataset)))
    return [info['img_path'] for info in infos]


def test_shots(uneven) -> None:
    few = FewShotSubset(uneven, shots=4)
    assert len(few) == 12
    assert np.bincount(few.get_gt_labels()).tolist() == [4, 4, 4]
    assert few.CLASSES == ('ant', 'bee', 'cat')
    assert few.metainfo == uneven.metainfo
    assert few.get_cat_ids(0) == [few.get_data_info(0)['gt_label']]
    assert [names(uneven)[i] for i in few.indices] == names(few)
    assert len(uneven) == 25  # the data set inside is left as it was
    assert names(few.get_subset([3, 1])) == [names(few)[i] for i in (3, 1)]
    assert "'shots': 4" in repr(few)


def test_seed_decides(uneven) -> None:
    indices = [FewShotSubset(uneven, 4, seed=s).indices for s in (0, 0, 1)]
    assert indices[0] == indices[1] != indices[2]
    assert set(FewShotSubset(uneven, 2).indices) < set(indices[0])


@pytest.mark.parametrize('serialize', [True, False])
def test_both_ways_to_hold_annotations(uneven, serialize) -> None:
    inner = Listed(uneven.labels, serialize_data=serialize)
    few = FewShotSubset(inner, 1)
    assert few.indices == FewShotSubset(uneven, 1).indices
    assert sorted(few.get_gt_labels()) == [0, 1, 2]


def test_all_images_without_a_number_of_shots(uneven) -> None:
    everything = FewShotSubset(uneven)
    assert len(everything) == len(uneven)
    assert everything.record['shots'] is None


def test_too_few_images(uneven) -> None:
    with pytest.raises(ValueError, match="'cat' has 5 images, fewer than .*6"):
        FewShotSubset(uneven, 6)
    few = FewShotSubset(uneven, 6, allow_fewer=True)
    assert np.bincount(few.get_gt_labels()).tolist() == [6, 6, 5]
    with pytest.raises(ValueError, match="'cat' has 0 images"):
        FewShotSubset(Listed([0, 1]), 1, allow_fewer=True)
    for wrong in (0, -2, 1.5, True):
        with pytest.raises(ValueError, match='shots must be an integer >= 1'):
            FewShotSubset(uneven, wrong)


@pytest.mark.parametrize('label', [3, -1, 0.5, None, [0, 1]])
def test_wrong_label_names_the_image(label) -> None:
    inner = Listed([0, 1, 2, label])
    with pytest.raises(ValueError, match=r"image '/r/3\.png' has label"):
        FewShotSubset(inner, 1)


def test_what_can_be_wrapped(uneven) -> None:
    both = ConcatDataset([uneven, uneven])
    with pytest.raises(SetupError, match='got ConcatDataset. Take the subset'):
        FewShotSubset(both, 1)
    with pytest.raises(ValueError, match='Listed has no class names'):
        FewShotSubset(Listed([0], metainfo=dict(classes=())), 1)


@pytest.mark.parametrize('ratio,val', [(0.1, [1, 1, 1]), (0.25, [3, 2, 1])])
def test_hold_out_by_ratio(uneven, ratio, val) -> None:
    parts = [HoldOut(uneven, part, ratio) for part in ('train', 'val')]
    counts = [np.bincount(part.get_gt_labels()) for part in parts]
    assert counts[1].tolist() == val
    assert (counts[0] + counts[1]).tolist() == [12, 8, 5]
    assert not set(parts[0].indices) & set(parts[1].indices)
    other = HoldOut(uneven, 'val', ratio, seed=1)
    assert other.indices != parts[1].indices


def test_shots_never_touch_the_held_out_part(uneven) -> None:
    val = HoldOut(uneven, 'val', per_class=2)
    assert np.bincount(val.get_gt_labels()).tolist() == [2, 2, 2]
    draws = []
    for shots_seed in range(5):
        train = HoldOut(
            uneven, 'train', per_class=2, shots=3, shots_seed=shots_seed
        )
        assert np.bincount(train.get_gt_labels()).tolist() == [3, 3, 3]
        assert not set(train.indices) & set(val.indices)
        draws.append(tuple(train.indices))
    assert len(set(draws)) > 1
    nested = FewShotSubset(HoldOut(uneven, 'train', per_class=2), shots=3)
    assert set(names(nested)) == set(
        names(HoldOut(uneven, 'train', per_class=2, shots=3))
    )
    assert split_images(train=nested, val=val)


def test_hold_out_refuses(uneven) -> None:
    with pytest.raises(
        ValueError, match="'cat' has 5 images, too few to hold"
    ):
        HoldOut(uneven, 'val', per_class=5)
    with pytest.raises(ValueError, match="'bee' has 1 images, too few"):
        HoldOut(Listed([0, 0, 1, 2, 2]), 'train')
    with pytest.raises(ValueError, match=r'ratio must be in \(0, 1\), got 1'):
        HoldOut(uneven, 'val', ratio=1)
    with pytest.raises(ValueError, match="part must be .* got 'test'"):
        HoldOut(uneven, 'test')
    with pytest.raises(ValueError, match='per_class must be an integer'):
        HoldOut(uneven, 'val', per_class=0)
    with pytest.raises(ValueError, match="'cat' has 3 images, fewer than"):
        HoldOut(uneven, 'train', per_class=2, shots=4)
    train = HoldOut(uneven, 'train', per_class=2, shots=4, allow_fewer=True)
    assert np.bincount(train.get_gt_labels()).tolist() == [4, 4, 3]


def test_indices_file(uneven, tmp_path) -> None:
    path = tmp_path / 'shots.json'
    few = FewShotSubset(uneven, 2, indices_file=str(path))
    stored = json.loads(path.read_text())
    assert stored['indices'] == few.indices
    assert stored['classes'] == ['ant', 'bee', 'cat']
    assert (stored['length'], stored['shots'], stored['seed']) == (25, 2, 0)

    stored['indices'] = [0, 7]  # what the file says is what is used
    path.write_text(json.dumps(stored))
    assert FewShotSubset(uneven, 2, indices_file=str(path)).indices == [0, 7]
    for wrong in ([0, 0], [25], ['a'], [], None):
        path.write_text(json.dumps({**stored, 'indices': wrong}))
        with pytest.raises(ValueError, match='different indices below 25'):
            FewShotSubset(uneven, 2, indices_file=str(path))


def test_indices_file_of_something_else(uneven, tmp_path) -> None:
    path = str(tmp_path / 'shots.json')
    FewShotSubset(uneven, 2, indices_file=path)
    with pytest.raises(ValueError, match='seed is 0 there, 1 here'):
        FewShotSubset(uneven, 2, seed=1, indices_file=path)
    with pytest.raises(ValueError, match='shots is 2 there, 3 here'):
        FewShotSubset(uneven, 3, indices_file=path)
    longer = Listed([*uneven.labels, 0])
    with pytest.raises(ValueError, match='length is 25 there, 26 here'):
        FewShotSubset(longer, 2, indices_file=path)
    relabelled = Listed([(k + 1) % 3 for k in uneven.labels])
    with pytest.raises(ValueError, match='images_sha256 is .* there'):
        FewShotSubset(relabelled, 2, indices_file=path)
    with pytest.raises(ValueError, match='part is None there'):
        HoldOut(uneven, 'val', indices_file=path)


def test_hash_does_not_know_where_the_folder_lies(
    tiny_image_folder, tmp_path
) -> None:
    first = tiny_image_folder(name='first')
    path = str(tmp_path / 'shots.json')
    one = FewShotSubset(
        CustomDataset(data_root=str(first)), 2, indices_file=path
    )
    moved = first.rename(tmp_path / 'moved')
    two = FewShotSubset(
        CustomDataset(data_root=str(moved)), 2, indices_file=path
    )
    assert one.indices == two.indices


def test_lazy_init(uneven) -> None:
    lazy = HoldOut(uneven, 'val', lazy_init=True)
    assert lazy.indices == []
    assert lazy.CLASSES == ('ant', 'bee', 'cat')
    assert len(lazy) == 3  # initialises itself
    lazy.full_init()
    assert len(lazy) == 3


def test_in_a_runner_dataloader(tiny_image_folder) -> None:
    """A stock mmpretrain data set, wrapped twice, by config."""
    inner = dict(
        type='CustomDataset',
        data_root=str(tiny_image_folder(per_class=6)),
        pipeline=[
            dict(type='lore_mm.LoadRGBImage'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs'),
        ],
    )
    hold_out = dict(
        type='lore_mm.HoldOut', part='train', per_class=2, dataset=inner
    )
    few = dict(type='lore_mm.FewShotSubset', shots=3, dataset=hold_out)
    loader = Runner.build_dataloader(
        dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=DATASETS.build(few),
        ),
        seed=0,
    )
    batches = list(loader)
    assert [len(batch['inputs']) for batch in batches] == [4, 4, 1]
    assert batches[0]['inputs'][0].shape == (3, 32, 32)
    seen = [s.img_path for batch in batches for s in batch['data_samples']]
    assert sorted(seen) == sorted(names(loader.dataset))
    assert len(loader.dataset.pipeline.transforms) == 3


def test_an_image_that_gives_none_is_replaced_from_the_subset(uneven) -> None:
    """mmengine then takes another image: never one outside the subset."""
    state = {'calls': 0}

    def pipeline(info: dict) -> dict | None:
        state['calls'] += 1
        return None if state['calls'] % 5 else info

    inner = Listed(uneven.labels, pipeline=[pipeline])
    few = FewShotSubset(inner, 1)
    inside = set(names(few))
    assert {few[0]['img_path'] for _ in range(30)} <= inside
