import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lore_mm.models.white_box.norm import (
    LinearNorm,
    TokenBatchNorm,
    build_norm,
    grouped_linear,
)

DIMS = 6


def pair(scramble, **kwargs):
    """Ours and PyTorch's batch norm with the same state."""
    ours = scramble(TokenBatchNorm(DIMS, **kwargs))
    theirs = nn.BatchNorm1d(DIMS, **kwargs)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


# -- batch norm over tokens ----------------------------------------------
@pytest.mark.parametrize('momentum', [0.1, None])
def test_batch_norm_equals_torch(scramble, momentum):
    ours, theirs = pair(scramble, momentum=momentum)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        x = torch.randn(3, 4, DIMS)
        expected = theirs(x.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(ours(x), expected)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


def test_batch_norm_of_rows_and_strided_tokens(scramble):
    norm = scramble(TokenBatchNorm(DIMS)).eval()
    x = torch.randn(2, DIMS, 5).transpose(1, 2)
    torch.testing.assert_close(norm(x)[1], norm(x[1]))


def test_batch_norm_of_one_sample_takes_the_running_statistics(scramble):
    norm = scramble(TokenBatchNorm(DIMS)).train()
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    x = torch.randn(1, DIMS)
    out = norm(x)
    for name, value in norm.state_dict().items():
        assert torch.equal(value, before[name]), name
    torch.testing.assert_close(out, norm.eval()(x))
    norm.train()(torch.randn(1, 2, DIMS))  # two tokens do have statistics
    assert not torch.equal(norm.running_mean, before['running_mean'])


def test_batch_norm_refuses_another_width():
    with pytest.raises(ValueError, match=r'must be 6, got \(2, 5\)'):
        TokenBatchNorm(DIMS)(torch.randn(2, 5))


def test_frozen_statistics_in_training(scramble):
    norm = scramble(TokenBatchNorm(DIMS))
    norm.frozen_statistics = True
    state = {k: v.clone() for k, v in norm.state_dict().items()}
    x = torch.randn(4, DIMS)
    out = norm.train()(x)
    out.sum().backward()
    assert norm.weight.grad is not None
    torch.testing.assert_close(out, norm.eval()(x))
    for name, value in norm.state_dict().items():
        assert torch.equal(value, state[name]), name
    norm.train()(x[:1])  # one sample is enough now


def test_measuring_averages_statistics_of_batches(scramble):
    norm = scramble(TokenBatchNorm(DIMS)).eval()
    batches = torch.randn(3, 5, DIMS) * 2 + 1
    norm.start_measuring()
    for batch in batches:
        expected = F.batch_norm(
            batch, None, None, norm.weight, norm.bias, training=True
        )
        torch.testing.assert_close(norm(batch), expected)
    norm.stop_measuring()
    torch.testing.assert_close(norm.running_mean, batches.mean((0, 1)))
    torch.testing.assert_close(norm.running_var, batches.var(1).mean(0))
    norm(batches[0])
    torch.testing.assert_close(norm.running_mean, batches.mean((0, 1)))


def test_measuring_works_with_frozen_statistics():
    norm = TokenBatchNorm(DIMS).eval()
    norm.frozen_statistics = True
    x = torch.randn(50, DIMS) * 3
    norm.start_measuring()
    norm(x)
    norm.stop_measuring()
    torch.testing.assert_close(norm.running_var, x.var(0))


def test_build_norm():
    assert isinstance(build_norm('batch', DIMS), TokenBatchNorm)
    assert isinstance(build_norm('layer', DIMS), nn.LayerNorm)
    assert isinstance(build_norm('none', DIMS), nn.Identity)
    with pytest.raises(ValueError, match=r"norm must be one of .*'group'"):
        build_norm('group', DIMS)


# -- linear maps with norms ----------------------------------------------
@pytest.mark.parametrize('groups', [1, 2, 4])
def test_grouped_linear_equals_convolution(groups):
    x = torch.randn(2, 3, 5, 8)
    weight, bias = torch.randn(12, 8 // groups), torch.randn(12)
    expected = F.conv2d(
        x.permute(0, 3, 1, 2), weight[:, :, None, None], bias, groups=groups
    ).permute(0, 2, 3, 1)
    out = grouped_linear(x, weight, bias, groups)
    torch.testing.assert_close(out, expected)
    without = grouped_linear(x, weight, None, groups)
    torch.testing.assert_close(without + bias, expected)


@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('norm', ['batch', 'layer', 'none'])
def test_folded_equals_unfolded(scramble, norm, bias, groups):
    layer = LinearNorm(8, DIMS, groups=groups, norm=norm, bias=bias)
    scramble(layer).eval()
    x = torch.randn(2, 5, 8)
    unfolded = layer(x)
    assert unfolded.requires_grad
    with torch.no_grad():
        assert layer.can_fold() == (norm != 'layer')
        folded = layer(x)
    torch.testing.assert_close(folded, unfolded, rtol=1e-5, atol=1e-5)


def test_folds_only_a_constant_batch_norm():
    layer = LinearNorm(8, DIMS)
    with torch.no_grad():
        assert not layer.can_fold()
        layer.eval()
        assert layer.can_fold()
        layer.norm.start_measuring()
        assert not layer.can_fold()
        layer.norm.stop_measuring()
    assert not layer.can_fold()  # gradients on


def _load(layer):
    state = {k: v + 0.5 for k, v in layer.state_dict().items()}
    layer.load_state_dict(state)


def _assign(layer):
    state = {k: v + 0.5 for k, v in layer.state_dict().items()}
    layer.load_state_dict(state, assign=True)


def _step(layer):
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    with torch.enable_grad():
        layer(torch.randn(4, 8)).square().sum().backward()
    optimizer.step()


def _buffer(layer):
    layer.norm.running_mean += 1


def _new_buffer(layer):
    layer.norm.running_var = layer.norm.running_var * 2


def _average(layer):
    """As mmengine's EMAHook swaps weights, before model.eval()."""
    for parameter in layer.parameters():
        parameter.data.copy_(parameter.data + 0.5)
    layer.eval()


@pytest.mark.parametrize(
    'change', [_load, _assign, _step, _buffer, _new_buffer, _average]
)
@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode])
def test_folded_weights_follow_changes(scramble, change, mode):
    layer = scramble(LinearNorm(8, DIMS)).eval()
    x = torch.randn(3, 8)
    with mode():
        before = layer(x)
    with torch.no_grad():
        change(layer)
    with mode():
        after = layer(x)
    torch.testing.assert_close(after, layer(x).detach(), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(before, after, atol=1e-3)


def test_folded_weights_are_kept(scramble):
    layer = scramble(LinearNorm(8, DIMS)).eval()
    with torch.no_grad():
        assert layer.folded()[0] is layer.folded()[0]


def test_convolution_starts_kaiming_normal():
    layer = LinearNorm(400, 300)
    assert layer.weight.std().item() == pytest.approx(0.005**0.5, rel=0.02)
    assert not layer.bias.any()


def test_groups_must_divide():
    with pytest.raises(ValueError, match='groups must divide 6 and 8, got 4'):
        LinearNorm(6, 8, groups=4)
