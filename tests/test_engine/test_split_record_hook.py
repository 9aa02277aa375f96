"""Which images a run uses is written down; splits never overlap."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from mmpretrain.models.heads import RegressionHead

from lore_mm.datasets import FewShotSubset, HoldOut
from lore_mm.engine.hooks import SplitRecordHook

TEST_SET = 'test_dataloader__dataset__data_root'


def start(runner) -> Path:
    """What ``train`` does before the first epoch, as far as needed here."""
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    hook = SplitRecordHook()
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    return Path(runner.work_dir, 'splits.json')


def test_all_images_are_named(tiny_runner):
    runner = tiny_runner()
    splits = json.loads(start(runner).read_text())
    assert {name: len(found) for name, found in splits.items()} == dict(
        train=48, val=12, test=24
    )
    assert splits['train'][0] == 'train/class_0/000.png'
    assert isinstance(runner._test_loop, dict)  # still not built


def test_missing_test_set_is_left_out(tiny_runner, tmp_path):
    runner = tiny_runner(**{TEST_SET: str(tmp_path / 'gone')})
    assert set(json.loads(start(runner).read_text())) == {'train', 'val'}
    log = Path(runner.logger.handlers[1].baseFilename).read_text()
    assert 'the test set is left out, as it is not here' in log
    assert 'gone' in log


def test_no_test_set_and_no_validation(tiny_runner):
    runner = tiny_runner(
        test_dataloader=None,
        test_cfg=None,
        test_evaluator=None,
        val_dataloader=None,
        val_cfg=None,
        val_evaluator=None,
    )
    assert set(json.loads(start(runner).read_text())) == {'train'}


def test_overlap_stops_the_run(tiny_runner):
    runner = tiny_runner(test_dataloader__dataset__split='val')
    with pytest.raises(ValueError, match='is in val and in test'):
        start(runner)


def test_data_without_names_is_left_out(tiny_runner):
    runner = tiny_runner()
    runner._test_dataloader = dict(dataset=['pixels'])
    assert set(json.loads(start(runner).read_text())) == {'train', 'val'}


def test_file_serves_as_split_file(tiny_runner, tiny_image_folder, tmp_path):
    root = tiny_image_folder(num_classes=2, per_class=10, name='plain')
    sets = {
        f'{split}_dataloader__dataset__{key}': value
        for split in ('train', 'val', 'test')
        for key, value in dict(data_root=str(root), seed=3).items()
    }
    parts = ('head', 'neck', 'data_preprocessor')
    numbers = {f'model__{part}__num_classes': 2 for part in parts}
    runner = tiny_runner(**numbers, **sets)
    record = start(runner)
    again = DATASETS.build(
        dict(
            type='lore_mm.ImageFolder',
            data_root=str(root),
            split_file=str(record),
        )
    )
    names = json.loads(record.read_text())['train']
    assert len(again) == len(names) == 14
    infos = [again.get_data_info(i)['img_path'] for i in range(len(again))]
    assert [Path(p).relative_to(root).as_posix() for p in infos] == names


def test_shipped_configs_have_it(tiny_runner):
    runner = tiny_runner(train_cfg__max_epochs=1)
    runner.train()
    assert Path(runner.work_dir, 'splits.json').is_file()


class Pixels(BaseDataset):
    """Images without files, as CIFAR's are."""

    METAINFO = {'classes': ('ant', 'bee')}

    def load_data_list(self):
        return [dict(img=i, gt_label=i % 2) for i in range(20)]


def held_out(part, seed=0):
    inside = HoldOut(Pixels(ann_file=''), part=part, ratio=0.2, seed=seed)
    return FewShotSubset(inside, shots=2) if part == 'train' else inside


def test_choice_of_images_without_files_is_written(tiny_runner):
    runner = tiny_runner()
    hook = SplitRecordHook()
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner._test_dataloader = None
    runner.train_loop.dataloader = SimpleNamespace(dataset=held_out('train'))
    runner.val_loop.dataloader = SimpleNamespace(dataset=held_out('val'))
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    found = json.loads(Path(runner.work_dir, 'indices.json').read_text())
    inner, outer = found['train']
    assert len(outer['indices']) == 4
    assert max(outer['indices']) < len(inner['indices']) == 16
    chosen = {inner['indices'][i] for i in outer['indices']}
    assert chosen.isdisjoint(found['val'][0]['indices'])

    whole = HoldOut(Pixels(ann_file=''), part='train', ratio=0.2, seed=0)
    runner.train_loop.dataloader = SimpleNamespace(dataset=whole)
    other = held_out('val', seed=1)
    runner.val_loop.dataloader = SimpleNamespace(dataset=other)
    with pytest.raises(
        ValueError, match='image number .* in train and in val'
    ):
        hook.before_train(runner)


@pytest.fixture
def wrong_label(tiny_config, tmp_path):
    """Options of a split whose second image has label 7 of three."""
    tiny_config()  # makes the images
    root = tmp_path / 'images_3'

    def make(split):
        lines = [f'{split}/class_{i}/000.png {i}' for i in range(3)]
        lines.insert(1, f'{split}/class_0/001.png 7')
        (tmp_path / f'{split}.txt').write_text('\n'.join(lines))
        steps = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
        dataset = dict(
            type='CustomDataset',
            data_root=str(root),
            ann_file=str(tmp_path / f'{split}.txt'),
            metainfo=dict(classes=['a', 'b', 'c']),
            pipeline=steps,
            _delete_=True,
        )
        return {f'{split}_dataloader__dataset': dataset}

    return make


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_label_that_is_no_class(tiny_runner, wrong_label, split):
    runner = tiny_runner(**wrong_label(split))
    said = f'001.png. of {split} has label 7; '
    with pytest.raises(ValueError, match=said):
        start(runner)


@pytest.mark.parametrize('split', ['val', 'test'])
def test_labels_of_a_gallery_may_be_others(tiny_runner, wrong_label, split):
    recall = dict(type='RetrievalRecall', topk=1, _delete_=True)
    runner = tiny_runner(
        **wrong_label(split), **{f'{split}_evaluator': recall}
    )
    assert split in json.loads(start(runner).read_text())


@pytest.mark.parametrize(
    'metric,wrong',
    [
        (dict(type='SingleLabelMetric'), True),
        ([dict(type='RetrievalRecall', topk=1), dict(type='Accuracy')], True),
        (dict(type='ConfusionMatrix'), True),
        (dict(type='RetrievalRecall', topk=1), False),
    ],
)
def test_labels_are_checked_before_a_test(
    tiny_runner, wrong_label, metric, wrong
):
    runner = tiny_runner(**wrong_label('test'))
    runner._test_evaluator = metric
    runner._test_loop = runner.build_test_loop(runner._test_loop)
    said = '001.png. of test has label 7; '
    stops = pytest.raises(ValueError, match=said) if wrong else nullcontext()
    with stops:
        SplitRecordHook().before_test(runner)


@pytest.fixture
def other_classes(tiny_config, tmp_path):
    """Options of a split with these class names."""
    tiny_config()  # makes the images

    def make(split, classes):
        dataset = dict(
            type='CustomDataset',
            data_root=str(tmp_path / 'images_3' / split),
            metainfo=dict(classes=classes),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
            _delete_=True,
        )
        return {f'{split}_dataloader__dataset': dataset}

    return make


@pytest.mark.parametrize('split', ['val', 'test'])
def test_classes_in_another_order(tiny_runner, other_classes, split):
    names = ['class 0', 'class 2', 'class 1']
    runner = tiny_runner(**other_classes(split, names))
    said = f"class 1 is 'class 1' in train and 'class 2' in {split}, so"
    with pytest.raises(ValueError, match=said):
        start(runner)
    recall = dict(type='RetrievalRecall', topk=1, _delete_=True)
    gallery = {f'{split}_evaluator': recall}
    start(tiny_runner(**other_classes(split, names), **gallery))


def test_class_without_validation_images(tiny_runner, other_classes, tmp_path):
    """Folders give the labels: without one of them all others shift."""
    options = other_classes('val', None)
    shutil.rmtree(tmp_path / 'images_3' / 'val' / 'class_0')
    with pytest.raises(
        ValueError, match='train has 3 classes, val has 2, .* a folder for'
    ):
        start(tiny_runner(**options))


def test_number_to_predict_is_no_class(tiny_runner, tmp_path):
    runner = tiny_runner()
    runner.model.head = RegressionHead()
    runner.model.head.num_classes = 1
    start(runner)
