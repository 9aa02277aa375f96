"""The ``released`` White Box against figures of the released code.

``tests/data/white_box_released.npz`` holds what that code computed in float32
on a CPU for weights and inputs that are drawn from their names, as ``draw``
and ``inputs`` do; ``eval/`` with running, ``train/`` with batch statistics.
"""

import copy
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lore_mm.models import (
    KnowledgeLocalityAttention,
    PrototypeConstraintLoss,
    WhiteBox,
)

DIMS, LAYERS, TEXT_DIMS, CLASSES, GRID = 768, 12, 512, 5, 14
BATCH = {'eval': 2, 'train': 3}
DTYPES = [torch.float32, torch.float64]


def random_state(name):
    seed = zlib.crc32(f'dev/{name}'.encode()) & 0x7FFFFFFF
    return np.random.RandomState(seed)


def draw(name, shape):
    """The weight that belongs to a name."""
    v = random_state(name).standard_normal(shape).astype('float32')
    kind = name.rpartition('.')[2]
    if kind == 'running_var':
        v = 0.5 + abs(v)
    elif len(shape) == 1:
        v = 1 + 0.1 * v if kind == 'weight' else 0.1 * v
    else:
        v = v / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(v.astype('float32'))


def fill(module, name, keys):
    for key in keys:
        value = getattr(module, key)
        value.copy_(draw(f'{name}.{key}', tuple(value.shape)))


@torch.no_grad()
def fill_layer(layer, conv, norm=None):
    fill(layer, conv, ('weight', 'bias'))
    if norm:
        keys = ('weight', 'bias', 'running_mean', 'running_var')
        fill(layer.norm, norm, keys)


@pytest.fixture(scope='module')
def parts():
    """White Box and KLA with the weights of the file's names."""
    white_box = WhiteBox(DIMS, LAYERS, drop_rate=0.0)
    lin, pg = white_box.lin, white_box.prompt_generator
    fill_layer(lin.conv_in, 'lin.in.conv', 'lin.in.bn')
    fill_layer(lin.conv_graph, 'lin.graph.conv', 'lin.graph.bn')
    fill_layer(lin.conv_out, 'lin.out.conv', 'lin.out.bn')
    fill_layer(lin.ffn_in, 'lin.ffn1.conv', 'lin.ffn1.bn')
    fill_layer(lin.ffn_out, 'lin.ffn2.conv', 'lin.ffn2.bn')
    fill_layer(pg.psi1.down, 'psi1.conv1', 'psi1.bn1')
    fill_layer(pg.psi1.up, 'psi1.conv2')
    fill_layer(pg.psi2.down, 'psi2.conv1', 'psi2.bn1')
    fill_layer(pg.psi2.up, 'psi2.conv2', 'psi2.bn2')
    kla = KnowledgeLocalityAttention(DIMS, TEXT_DIMS)
    with torch.no_grad():
        fill(kla.key, 'kla.key', ['weight'])
        fill(kla.value, 'kla.value', ['weight'])
        fill(kla.proj, 'kla.proj', ['weight', 'bias'])
    return white_box, kla


def inputs(mode):
    batch = BATCH[mode]
    r = random_state('inputs')
    x = r.standard_normal((batch, DIMS, GRID, GRID)).astype('float32')
    q = r.standard_normal((CLASSES, TEXT_DIMS)).astype('float32')
    target = r.randint(0, CLASSES, batch)
    predicted = r.randint(0, CLASSES, batch)
    predicted[0] = target[0]
    x = torch.from_numpy(x).flatten(2).transpose(1, 2)  # (B, N, d)
    labels = torch.from_numpy(target), torch.from_numpy(predicted)
    return x, F.normalize(torch.from_numpy(q), dim=-1), *labels


@pytest.fixture(scope='module')
def golden():
    file = Path(__file__).parents[2] / 'data' / 'white_box_released.npz'
    with np.load(file) as content:
        return dict(content)


class Run:
    """Our figures for one mode and precision, beside the golden ones."""

    def __init__(self, parts, golden, mode, dtype):
        self.golden = golden
        self.mode = mode
        white_box, kla = (
            copy.deepcopy(part).to(dtype).train(mode == 'train')
            for part in parts
        )
        x, q, self.target, self.predicted = inputs(mode)
        with torch.no_grad():
            self.out = white_box(x.to(dtype), with_tokens=True)
            if mode == 'eval':  # the path without tokens
                self.short = white_box(x.to(dtype))
            self.prototypes = kla(q.to(dtype), self.out.tokens)
            psi2 = white_box.prompt_generator.psi2
            if mode == 'train':  # what the last batch norm normalises
                hidden = F.gelu(psi2.down(self.out.latent))
                maps = F.linear(hidden, psi2.up.weight, psi2.up.bias)
                std = maps.std(0, unbiased=False)
                self.std = std.view(self.out.local.shape[1:])

    def value(self, key):
        value = self.golden[f'{self.mode}/{key}']
        return torch.from_numpy(value.astype('float64'))

    def check(self, ours, key, tolerance=1e-5):
        """Largest difference over the largest value."""
        value = self.value(key)
        error = (ours.double() - value).abs().max() / value.abs().max()
        assert error < tolerance, (key, error)


@pytest.fixture(scope='module', params=DTYPES, ids=str)
def runs(request, parts, golden):
    return {
        mode: Run(parts, golden, mode, request.param)
        for mode in ('eval', 'train')
    }


@pytest.fixture
def evaluated(runs):
    return runs['eval']


@pytest.fixture
def trained(runs):
    return runs['train']


@pytest.fixture(params=['eval', 'train'])
def run(request, runs):
    return runs[request.param]


def test_labels_are_those_of_the_file(run):
    assert run.target.tolist() == run.value('target').tolist()
    assert run.predicted.tolist() == run.value('predicted').tolist()


def test_eval_tokens(evaluated):
    tokens = evaluated.out.tokens[0].T.unflatten(1, (GRID, GRID))
    evaluated.check(tokens, 'tokens_0', 1e-3)  # stored in half precision


def test_eval_latent_and_prompts(evaluated):
    for out in (evaluated.out, evaluated.short):
        evaluated.check(out.latent, 'latent')
        evaluated.check(out.local, 'local_prompts')


def test_train_latent(trained):
    trained.check(trained.out.latent, 'latent')


def test_train_prompts(trained):
    """Float32 rounding is all that parts us.

    The last batch norm divides by the deviation over 3 samples, .004 in the
    narrowest of 18432 channels: there rounding errors grow 250-fold. Against
    float64 the released code is off by 1.6e-4 of the largest value and our
    float32 by 3.8e-4; before that division both by less than 1e-5.
    """
    trained.check(trained.out.local, 'local_prompts', 6e-4)
    error = trained.out.local.double() - trained.value('local_prompts')
    assert (error * trained.std.clamp(max=1.0)).abs().max() < 2e-5


def test_prototypes(run):
    run.check(run.prototypes, 'prototypes', 2e-5)


def test_constraint_terms(run):
    terms = PrototypeConstraintLoss.terms(
        run.out.latent, run.prototypes, run.target, run.predicted
    )
    keys = ('positive_term', 'negative_term')
    for ours, key in zip(terms, keys, strict=True):
        value = float(run.value(key))
        assert float(ours) == pytest.approx(value, rel=1e-4, abs=1e-7)


def test_numbers_of_trained_weights():
    white_box = WhiteBox(DIMS, LAYERS)
    kla = KnowledgeLocalityAttention(DIMS, TEXT_DIMS)

    def millions(module):
        return round(sum(p.numel() for p in module.parameters()) / 1e6, 2)

    pg = white_box.prompt_generator
    assert millions(white_box.lin) == 7.10
    assert millions(pg.psi2) == 0.67
    assert millions(pg.psi1) == 0.05
    assert millions(kla) == 1.18
    assert round(white_box.global_prompts.numel() / 1e6, 2) == 0.07
    inference = sum(p.numel() for p in white_box.parameters())
    assert round(inference / 1e6, 1) == 7.9
