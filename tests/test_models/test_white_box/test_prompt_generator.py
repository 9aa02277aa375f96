import pytest
import torch
import torch.nn.functional as F

from lore_mm.models import PromptGenerator

DIMS, LAYERS, PROMPTS, HIDDEN = 6, 3, 2, 4


def bottleneck(part, x, norms=(True, True)):
    """Two maps with GELU between, norms in training mode by hand."""

    def norm(layer, x, used):
        if not used:
            return x
        mean, var = x.mean(0), x.var(0, unbiased=False)
        x = (x - mean) / (var + layer.norm.eps).sqrt()
        return x * layer.norm.weight + layer.norm.bias

    x = norm(part.down, x @ part.down.weight.T + part.down.bias, norms[0])
    x = F.gelu(x)
    return norm(part.up, x @ part.up.weight.T + part.up.bias, norms[1])


def make(scramble, **kwargs):
    generator = PromptGenerator(
        DIMS, LAYERS, PROMPTS, hidden_dims=HIDDEN, drop_rate=0.0, **kwargs
    )
    return scramble(generator).double()


def pooled(dims=DIMS):
    return torch.randn(5, dims, dtype=torch.double)


def test_paper_equals_formulas(scramble):
    """LORE, Eqs. (8)-(9)."""
    generator = make(scramble, norm='none')
    x = pooled()
    latent, prompts = generator(x)
    expected = bottleneck(generator.psi1, x, (False, False))
    torch.testing.assert_close(latent, expected)
    expected = bottleneck(generator.psi2, expected, (False, False))
    torch.testing.assert_close(
        prompts, expected.view(5, LAYERS, PROMPTS, DIMS)
    )


def test_released_has_norms_but_one(scramble):
    generator = make(scramble)
    x = pooled()
    latent, prompts = generator(x)
    expected = bottleneck(generator.psi1, x, (True, False))
    torch.testing.assert_close(latent, expected)
    expected = bottleneck(generator.psi2, expected)
    torch.testing.assert_close(
        prompts, expected.view(5, LAYERS, PROMPTS, DIMS)
    )


def test_layer_norm_is_over_each_prompt(scramble):
    generator = make(scramble, norm='layer')
    latent, prompts = generator(pooled())
    single = generator(pooled()[:1])  # one image is enough
    assert single[0].shape == (1, DIMS)
    centred = (prompts - generator.out_norm.bias) / generator.out_norm.weight
    zeros = torch.zeros_like(centred[..., 0])
    torch.testing.assert_close(centred.mean(-1), zeros)
    torch.testing.assert_close(
        centred.var(-1, unbiased=False), zeros + 1, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize('norm', ['batch', 'layer'])
def test_first_gain_is_the_size_of_prompts(norm):
    generator = PromptGenerator(
        DIMS, LAYERS, PROMPTS, norm=norm, gain_init=0.25, drop_rate=0.0
    )
    _, prompts = generator(torch.randn(64, DIMS))
    size = float(prompts.detach().std())
    assert size == pytest.approx(0.25, rel=0.05)


def test_first_gain_without_norm_is_a_factor():
    prompts = []
    for gain in (1.0, 0.25):
        torch.manual_seed(0)
        generator = PromptGenerator(
            DIMS, LAYERS, norm='none', gain_init=gain, drop_rate=0.0
        )
        prompts.append(generator(torch.ones(1, DIMS))[1])
    torch.testing.assert_close(prompts[1], 0.25 * prompts[0])


@pytest.mark.parametrize('norm', ['batch', 'layer', 'none'])
def test_prompts_start_at_a_base(norm):
    generator = PromptGenerator(
        DIMS, LAYERS, PROMPTS, norm=norm, drop_rate=0.0
    )
    base = torch.randn(LAYERS, DIMS)
    generator.start_from(base, gain=0.0)
    _, prompts = generator(torch.randn(4, DIMS))
    expected = base[None, :, None].expand(4, LAYERS, PROMPTS, DIMS)
    torch.testing.assert_close(prompts, expected)
    generator.start_from(None, gain=0.0)
    assert not generator(torch.randn(4, DIMS))[1].any()


def test_each_prompt_has_its_own_layer_norm():
    generator = PromptGenerator(DIMS, LAYERS, PROMPTS, norm='layer')
    assert generator.out_norm.weight.shape == (LAYERS, PROMPTS, DIMS)
    with torch.no_grad():
        generator.out_norm.bias[1, 0] += 7
    _, prompts = generator.eval()(torch.randn(4, DIMS))
    means = prompts.mean((0, 3)).round().tolist()
    assert means == [[0, 0], [7, 0], [0, 0]]


def test_wider_input(scramble):
    generator = make(scramble, in_dims=2 * DIMS)
    latent, prompts = generator(pooled(2 * DIMS))
    assert latent.shape == (5, DIMS)
    assert prompts.shape == (5, LAYERS, PROMPTS, DIMS)


def test_no_prompts_leave_the_latent():
    generator = PromptGenerator(DIMS, LAYERS, 0)
    latent, prompts = generator(torch.randn(4, DIMS))
    assert latent.shape == (4, DIMS)
    assert prompts is None
    parts = {name.split('.')[0] for name, _ in generator.named_parameters()}
    assert parts == {'psi1'}


def test_dropout_is_on_prompts_in_training_only():
    generator = PromptGenerator(DIMS, LAYERS, 50, drop_rate=0.5, norm='layer')
    x = torch.randn(2, DIMS)
    latent, prompts = generator(x)
    zeros = float((prompts == 0).double().mean())
    assert zeros == pytest.approx(0.5, abs=0.1)
    assert (latent != 0).all()
    assert (generator.eval()(x)[1] != 0).all()


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(norm='group'), "norm must be one of .* got 'group'"),
        (dict(drop_rate=2.0), 'dropout probability'),
    ],
)
def test_constructor_errors(kwargs, match):
    with pytest.raises(ValueError, match=match):
        PromptGenerator(DIMS, LAYERS, **kwargs)
