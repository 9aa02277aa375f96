"""Two gloo processes give what one gives."""

import os
import runpy
import subprocess
import sys

import pytest
import torch

SCRIPT = """
import pickle
import sys
from types import SimpleNamespace

import torch
import torch.distributed as dist
from mmengine.dataset import BaseDataset, pseudo_collate
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.structures import DataSample

from lore_mm.engine import feature_extraction
from lore_mm.engine.feature_extraction import extract_train_features
from lore_mm.engine.hooks import HeadWarmStartHook
from lore_mm.models.knowledge import build_class_embeddings

rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if world > 1:
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)


class Images(BaseDataset):
    def load_data_list(self):
        return [dict(value=i) for i in range(7)]


def load(results):
    value = results['value']
    sample = DataSample(metainfo=dict(sample_idx=results['sample_idx']))
    sample.set_gt_label(value % 3)
    generator = torch.Generator().manual_seed(value)
    return dict(
        inputs=torch.rand(3, 2, 2, generator=generator), data_samples=sample)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(rank)
        self.data_preprocessor = ClsDataPreprocessor()
        self.head = torch.nn.Module()
        self.head.fc = torch.nn.Linear(12, 3)

    def forward(self, img, mode):
        return self.head.fc(img.flatten(1))


images = Images(pipeline=[load])
loader = torch.utils.data.DataLoader(
    images, batch_size=2, collate_fn=pseudo_collate)
runner = SimpleNamespace(
    model=Model(), train_dataloader=loader, val_loop=1,
    val_dataloader=loader, iter=0, _has_loaded=False)
gathered = []
gather = feature_extraction.all_gather_object


def noted(data):
    gathered.append(pickle.dumps(data))
    return gather(data)


feature_extraction.all_gather_object = noted
feature_extraction._CHUNK = 2
data = extract_train_features(runner, lambda img: img.flatten(1))
one = extract_train_features(
    runner, lambda img: img.flatten(1), num_images=1)
feature_extraction.all_gather_object = gather
HeadWarmStartHook().before_train(runner)
cfg = dict(type='lore_mm.RandomTextEncoder', embed_dims=4)
embeddings = build_class_embeddings(cfg, ['a', 'b'])
missing = dict(type='lore_mm.EmbeddingFile', path='nowhere.npz')
try:
    build_class_embeddings(missing, ['a'])
except (FileNotFoundError, RuntimeError) as error:
    message = str(error)
torch.save(
    dict(features=data.features, labels=data.labels, one=one.features,
         tensors_gathered=any(b'torch' in sent for sent in gathered),
         ids=[found['sample_idx'] for found in data.ids],
         embeddings=embeddings, message=message,
         weight=runner.model.head.fc.weight.detach()),
    f'{folder}/{world}-{rank}.pt')
if world > 1:
    dist.barrier()
    dist.destroy_process_group()
"""


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """What one process and each of two processes computed."""
    folder = tmp_path_factory.mktemp('ranks')
    script = folder / 'script.py'
    script.write_text(SCRIPT)
    env = dict(os.environ, LORE_CACHE=str(folder), OMP_NUM_THREADS='1')
    env['PYTHONPATH'] = os.pathsep.join(sys.path)
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), '2', str(folder)],
            env=env,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(2)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['', '0', '1', str(folder)])
        patch.setenv('LORE_CACHE', str(folder / 'single'))
        runpy.run_path(str(script))
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    return [
        torch.load(folder / f'{name}.pt', weights_only=True)
        for name in ('1-0', '2-0', '2-1')
    ]


@pytest.mark.parametrize('rank', [0, 1])
@pytest.mark.parametrize(
    'key', ['features', 'one', 'labels', 'weight', 'embeddings']
)
def test_tensors_equal_one_process(results, key, rank):
    torch.testing.assert_close(
        results[1 + rank][key], results[0][key], rtol=0, atol=0
    )


def test_features_are_not_gathered_as_objects(results):
    assert not any(each['tensors_gathered'] for each in results)


def test_images_keep_their_order(results):
    assert [each['ids'] for each in results] == [list(range(7))] * 3


def test_error_of_rank_0_reaches_the_others(results):
    assert 'failed on rank 0: FileNotFoundError' in results[2]['message']
    assert all('nowhere.npz' in each['message'] for each in results)
