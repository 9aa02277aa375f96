import pytest
import torch

from lore_mm.models import LOREFeatures, PromptedViT
from lore_mm.registry import MODELS

CLOSE = dict(rtol=1e-5, atol=1e-5)


def batched(model, number=3):
    return model.prompts[None].expand(number, -1, -1, -1)


@pytest.mark.parametrize('fast', [True, False])
@pytest.mark.parametrize('before_pre_norm', [True, False])
@pytest.mark.parametrize('deep', [True, False])
def test_equals_prompts_put_in_by_hand(
    family, black_box, make_image, reference, deep, before_pre_norm, fast
):
    model = PromptedViT(
        black_box,
        num_prompts=4,
        deep=deep,
        before_pre_norm=before_pre_norm,
        out_type='raw',
        fast=fast,
    ).eval()
    img = make_image(black_box)
    with torch.no_grad():
        expected = reference(
            black_box,
            img,
            batched(model),
            deep=deep,
            before_pre_norm=before_pre_norm,
        )
        torch.testing.assert_close(model(img)[0], expected, **CLOSE)
        for out_type in ('cls_token', 'lore'):
            model.out_type = out_type
            cls_token = expected[:, 0]
            if out_type == 'lore':
                cls_token = black_box.project(cls_token)
            torch.testing.assert_close(model(img)[0], cls_token, **CLOSE)


@pytest.mark.parametrize('deep', [True, False])
def test_equals_lore_with_global_prompts_alone(
    plain_vit, make_model, make_image, deep
):
    model = PromptedViT(plain_vit, num_prompts=5, deep=deep).eval()
    lore = make_model(
        plain_vit, num_global_prompts=5, num_local_prompts=0, deep=deep
    ).eval()
    img = make_image(plain_vit)
    with torch.no_grad():
        lore.white_box.global_prompts.copy_(model.prompts)
        torch.testing.assert_close(model(img), lore(img), **CLOSE)


@pytest.mark.parametrize('deep', [True, False])
def test_prompts_are_all_that_is_trained(plain_vit, make_image, deep):
    model = PromptedViT(plain_vit, num_prompts=3, deep=deep).train()
    trained = [n for n, p in model.named_parameters() if p.requires_grad]
    assert trained == ['prompts']
    depth = plain_vit.num_layers if deep else 1
    assert model.prompts.shape == (depth, 3, plain_vit.embed_dims)
    model(make_image(plain_vit))[0].square().sum().backward()
    assert (model.prompts.grad.flatten(1).abs().max(1).values > 0).all()
    assert all(p.grad is None for p in plain_vit.parameters())


def test_output_types(plain_vit, make_image):
    img = make_image(plain_vit)
    dims = plain_vit.embed_dims
    shapes = dict(
        cls_token=(3, dims), featmap=(3, dims, 3, 4), raw=(3, 13, dims)
    )
    for out_type, shape in shapes.items():
        model = PromptedViT(plain_vit, out_type=out_type).eval()
        assert model(img)[0].shape == shape
    features = PromptedViT(plain_vit, out_type='lore').eval()(img)
    assert isinstance(features, LOREFeatures)
    assert features.latent is features.tokens is None


def test_dropout_in_training_only(plain_vit, make_image):
    model = PromptedViT(plain_vit, drop_rate=0.5)
    img = make_image(plain_vit)
    with torch.no_grad():
        model.train()
        assert not torch.equal(model(img)[0], model(img)[0])
        model.eval()
        assert torch.equal(model(img)[0], model(img)[0])


def test_same_in_train_and_eval_mode(plain_vit, make_image):
    model = PromptedViT(plain_vit)
    img = make_image(plain_vit)
    torch.testing.assert_close(model.train()(img), model.eval()(img), **CLOSE)


def test_registered():
    cfg = dict(
        type='lore_mm.PromptedViT',
        black_box=dict(
            type='lore_mm.TimmBlackBox', model_name='test_vit', img_size=64
        ),
    )
    model = MODELS.build(cfg)
    assert model(torch.rand(1, 3, 64, 64))[0].shape == (1, 64)


def test_constructor_errors(plain_vit):
    with pytest.raises(ValueError, match='num_prompts must be at least 1'):
        PromptedViT(plain_vit, num_prompts=0)
    with pytest.raises(ValueError, match="out_type must be .* got 'map'"):
        PromptedViT(plain_vit, out_type='map')
