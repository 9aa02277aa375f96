"""Keys and values of global prompts are kept, and never stale."""

import copy

import pytest
import torch

from lore_mm.models.backbones import base
from lore_mm.models.backbones.prompted_block import prompt_kv


@pytest.fixture
def model(plain_vit, make_model):
    return make_model(plain_vit).eval()


@pytest.fixture
def img(plain_vit, make_image):
    return make_image(plain_vit)


def fresh(model, img):
    """The output of a copy that has computed nothing yet."""
    other = copy.deepcopy(model)
    other._constants.clear()
    other.fast = False
    return other.eval()(img)[0]


def test_computed_once_at_inference(model, img, monkeypatch):
    batches = []

    def spy(view, prompts):
        batches.append(len(prompts))
        return prompt_kv(view, prompts)

    monkeypatch.setattr(base, 'prompt_kv', spy)
    depth = model.black_box.num_layers
    with torch.no_grad():
        model(img)
        assert batches == [1, 3] * depth  # global prompts, local prompts
        batches.clear()
        model(img)
        model(img[:2])
        assert batches == [3] * depth + [2] * depth
    batches.clear()
    model(img)  # with gradients they are computed each time
    assert batches == [1, 3] * depth


def other_prompts(model):
    """Not a multiple, not a shift: a layer norm would take them back."""
    return torch.randn_like(model.white_box.global_prompts)


def _load(model):
    state = model.state_dict()
    state['white_box.global_prompts'] = other_prompts(model)
    model.load_state_dict(state)


def _step(model):
    prompts = model.white_box.global_prompts
    optimizer = torch.optim.SGD([prompts], lr=1.0)
    prompts.grad = other_prompts(model)
    optimizer.step()


def _train(model):
    """A step as a runner takes it, in train mode."""
    model.train()
    optimizer = torch.optim.SGD(model.white_box.parameters(), lr=1.0)
    model(torch.randn(3, 3, 64, 64))[0].square().sum().backward()
    optimizer.step()
    model.eval()


def _average(model):
    """As mmengine's EMAHook swaps weights, before model.eval()."""
    prompts = model.white_box.global_prompts
    prompts.data.copy_(other_prompts(model))
    model.eval()


def _replace(model):
    prompts = torch.nn.Parameter(other_prompts(model))
    model.white_box.global_prompts = prompts


def _replace_freed(model):
    """The new prompts may lie where the old ones lay."""
    prompts = other_prompts(model)
    model.white_box.global_prompts = None
    model.white_box.global_prompts = torch.nn.Parameter(prompts.clone())


def _move(model):
    model.double()
    model.float()
    _replace(model)


def _black_box_attention(model):
    model.black_box.blocks[2].attn.qkv.bias += 0.5


def _black_box_norm(model):
    model.black_box.blocks[2].norm1.weight += 0.5


@pytest.mark.parametrize(
    'change',
    [
        _load,
        _step,
        _train,
        _average,
        _replace,
        _replace_freed,
        _move,
        _black_box_attention,
        _black_box_norm,
    ],
)
@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode])
def test_follow_changes(model, img, change, mode):
    with mode():
        before = model(img)[0]
    with torch.set_grad_enabled(change is _train):
        change(model)
    with mode():
        after = model(img)[0]
    with torch.no_grad():
        expected = fresh(model, img)
    torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(before, after, atol=1e-4)


def test_of_inference_mode_serve_training_later(model, img):
    with torch.inference_mode():
        model(img)
    model.train()
    model(img)[0].sum().backward()
    assert model.white_box.global_prompts.grad.any()


def test_autocast_leaves_them_exact(model, img):
    with torch.no_grad():
        expected = model(img)[0]
        with torch.autocast('cpu', torch.bfloat16):
            model(img)
        assert torch.equal(model(img)[0], expected)
        model._constants.clear()
        with torch.autocast('cpu', torch.bfloat16):
            model(img)
        assert torch.equal(model(img)[0], expected)


def test_no_state_is_added(model, img):
    keys = set(model.state_dict())
    with torch.no_grad():
        model(img)
    assert set(model.state_dict()) == keys


def test_follow_a_fused_optimizer(model, img):
    """Its steps leave no trace in the version of a tensor."""
    weights = [p for p in model.parameters() if p.requires_grad]
    solver = torch.optim.AdamW(weights, lr=0.1, fused=True)
    with torch.no_grad():
        before = model(img)[0]
    model.train()(img)[0].square().sum().backward()
    solver.step()
    with torch.no_grad():
        after = model.eval()(img)[0]
        torch.testing.assert_close(
            after, fresh(model, img), rtol=1e-5, atol=1e-5
        )
    assert not torch.allclose(before, after)
