import pytest
import torch

from lore_mm.models import LocalityInteractionNetwork, WhiteBox
from lore_mm.models.white_box import WhiteBoxOutput
from lore_mm.models.white_box.locality import POOLS
from lore_mm.models.white_box.presets import PRESETS
from lore_mm.registry import MODELS

DIMS, LAYERS, PATCHES = 8, 4, 6
PRESET_NAMES = tuple(PRESETS)


def make(**kwargs):
    return WhiteBox(DIMS, LAYERS, **kwargs)


def patches(batch=3):
    return torch.randn(batch, PATCHES, DIMS)


# -- presets -------------------------------------------------------------
def test_preset_released():
    white_box = make()
    assert white_box.lin.variant == 'grapher'
    assert white_box.lin.k == 9
    assert white_box.global_prompts.shape == (LAYERS, 8, DIMS)
    assert white_box.prompt_generator.drop.p == 0.1
    out = white_box(patches())
    assert out.local.shape == (3, LAYERS, 2, DIMS)
    assert out.latent.shape == (3, DIMS)
    assert (white_box.read_layer, white_box.position) == (0, False)
    assert (white_box.deep, white_box.pool) == (True, 'mean')


def test_preset_paper():
    white_box = make(preset='paper')
    assert white_box.lin.variant == 'max_relative'
    assert white_box.global_prompts is None
    assert not any('norm' in name for name, _ in white_box.named_parameters())
    out = white_box(patches())
    assert out.local.shape == (3, 1, 10, DIMS)
    assert (white_box.read_layer, white_box.position) == (0, True)
    assert (white_box.deep, white_box.pool) == (False, 'mean')


def test_preset_extended():
    white_box = make(preset='extended')
    assert white_box.lin.variant == 'grapher'
    assert white_box.pool == 'max_min'
    assert not any(
        isinstance(m, torch.nn.BatchNorm1d) for m in white_box.modules()
    )
    x = patches()
    out = white_box(x, with_tokens=True)
    assert torch.equal(out.tokens, x)  # the LIN starts as the identity
    assert torch.equal(out.pooled, torch.cat([x.amax(1), x.amin(1)], 1))


@pytest.mark.parametrize('pool', POOLS)
def test_pooled_dims(pool):
    white_box = make(pool=pool)
    assert white_box(patches()).pooled.shape == (3, white_box.pooled_dims)


@pytest.mark.parametrize('layers, read', [(12, 4), (6, 2), (2, 0), (1, 0)])
def test_extended_reads_after_a_third(layers, read):
    white_box = WhiteBox(DIMS, layers, preset='extended')
    assert white_box.read_layer == white_box.write_layer == read
    assert white_box.global_layer == 0
    output = white_box(patches())
    assert output.local.shape == (3, layers - read, 2, DIMS)
    assert output.shared.shape == (layers, 8, DIMS)
    assert output.prompts.shape == (3, layers - read, 10, DIMS)
    fixed = WhiteBox(DIMS, layers, preset='extended', read_layer=0)
    assert fixed.read_layer == 0


@pytest.mark.parametrize('preset', PRESET_NAMES)
def test_values_given_override_the_preset(preset):
    white_box = make(
        preset=preset,
        num_global_prompts=3,
        num_local_prompts=1,
        read_layer=2,
        global_layer=1,
        pool='outlier',
        norm='layer',
        deep=True,
        variant='grapher',
        position=True,
        drop_rate=0.3,
        k=4,
        hidden_dims=5,
        top_patches=2,
        gain_init=0.5,
        lin_gain_init=0.25,
    )
    out = white_box(patches())
    assert out.shared.shape == (3, 3, DIMS)
    assert out.local.shape == (3, 2, 1, DIMS)
    assert white_box.num_prompts == 4
    assert white_box.position is True
    assert white_box.pool == 'outlier'
    assert white_box.lin.k == 4
    generator = white_box.prompt_generator
    assert generator.psi1.down.weight.shape == (5, DIMS)
    assert generator.drop.p == 0.3
    assert (generator.out_norm.weight == 0.5).all()
    assert white_box.top_patches == 2
    assert (white_box.lin.conv_out.norm.weight == 0.25).all()


def test_false_and_zero_override_the_preset():
    white_box = make(
        num_global_prompts=0, num_local_prompts=0, deep=False, drop_rate=0.0
    )
    assert white_box.num_prompts == 0
    assert not white_box.deep
    assert white_box.prompt_generator.drop.p == 0.0
    out = white_box(patches())
    assert out.shared is out.local is out.prompts is None
    assert out.latent.shape == (3, DIMS)


# -- output --------------------------------------------------------------
@pytest.mark.parametrize('preset', PRESET_NAMES)
@pytest.mark.parametrize('training', [True, False])
def test_tokens_only_where_asked_for(preset, training):
    white_box = make(preset=preset, drop_rate=0.0).train(training)
    x = patches()
    without = white_box(x)
    assert without.tokens is None
    out = white_box(x, with_tokens=True)
    assert out.tokens.shape == x.shape
    close = dict(rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.latent, without.latent, **close)
    torch.testing.assert_close(out.local, without.local, **close)


def test_tokens_are_those_of_the_lin():
    white_box = make().eval()
    x = patches()
    assert isinstance(white_box.lin, LocalityInteractionNetwork)
    out = white_box(x, with_tokens=True)
    torch.testing.assert_close(out.tokens, white_box.lin(x))


def test_all_prompts_global_first():
    shared, local = torch.randn(2, 3, DIMS), torch.randn(4, 2, 1, DIMS)
    latent = torch.randn(4, DIMS)
    prompts = WhiteBoxOutput(shared, local, latent, None).prompts
    assert prompts.shape == (4, 2, 4, DIMS)
    for b in range(4):
        for layer in range(2):
            expected = torch.cat([shared[layer], local[b, layer]])
            assert torch.equal(prompts[b, layer], expected)
    only_shared = WhiteBoxOutput(shared, None, latent, None).prompts
    assert torch.equal(only_shared, prompts[:, :, :3])
    only_local = WhiteBoxOutput(None, local, latent, None).prompts
    assert torch.equal(only_local, prompts[:, :, 3:])


def test_global_prompts_are_uniform():
    white_box = WhiteBox(96, 6, num_global_prompts=40, num_local_prompts=0)
    bound = (6 / (2 * 96)) ** 0.5
    values = white_box.global_prompts.detach()
    assert values.abs().max() <= bound
    size = float(values.std())
    assert size == pytest.approx(bound / 3**0.5, rel=0.02)


def test_registered():
    cfg = dict(type='lore_mm.WhiteBox', embed_dims=DIMS, num_layers=2)
    assert isinstance(MODELS.build(cfg), WhiteBox)


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(preset='new'), r"preset must be one of .* got 'new'"),
        (dict(num_global_prompts=-1), 'num_global_prompts must be 0 or more'),
        (dict(num_local_prompts=-2), 'num_local_prompts .* got -2'),
        (dict(read_layer=LAYERS), r'read_layer must be in \[0, 3\] .* got 4'),
        (dict(read_layer=-1), r'read_layer must be in .* got -1'),
        (dict(write_layer=LAYERS), r'write_layer must be in \[0, 3\]'),
        (
            dict(preset='paper', read_layer=2, global_layer=1),
            r'global_layer must be in \[2, 2\], up to write_layer',
        ),
        (
            dict(read_layer=2, write_layer=1),
            r'write_layer must be in \[2, 3\], from read_layer on, got 1',
        ),
        (dict(pool='min'), "pool must be one of .* got 'min'"),
        (dict(hidden_dims=0), 'hidden_dims must be at least 1, got 0'),
        (dict(top_patches=0), 'top_patches must be at least 1, got 0'),
        (dict(norm='group'), "norm must be one of .* got 'group'"),
        (dict(preset='paper', norm='x'), "norm must be one of .* got 'x'"),
        (dict(variant='gcn'), "variant must be one of .* got 'gcn'"),
        (dict(k=0), 'k must be at least 1, got 0'),
        (dict(drop_rate=-0.1), 'dropout probability'),
    ],
)
def test_constructor_errors(kwargs, match):
    with pytest.raises(ValueError, match=match):
        make(**kwargs)
