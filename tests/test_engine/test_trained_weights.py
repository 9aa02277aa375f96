"""The frozen Black Box stays out of a checkpoint and is checked by name."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from lore_mm.engine import CheckpointError, load_trained_weights
from lore_mm.engine.trained_weights import (
    black_box_facts,
    check_black_boxes,
    check_classes,
    children_of,
    drop_frozen,
    fit_state_dict,
    frozen_keys,
    list_keys,
)
from lore_mm.models import TimmBlackBox


class Model(nn.Module):
    """A backbone with a Black Box and trained layers, and a head."""

    def __init__(self, seed=0, frozen=True, model_name='test_vit', classes=3):
        super().__init__()
        torch.manual_seed(seed)
        self.backbone = nn.Module()
        self.backbone.black_box = TimmBlackBox(
            model_name, img_size=32, frozen=frozen
        )
        torch.manual_seed(seed + 1)
        self.backbone.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, classes)


TRAINED = {
    'backbone.norm.weight',
    'backbone.norm.bias',
    'backbone.norm.running_mean',
    'backbone.norm.running_var',
    'backbone.norm.num_batches_tracked',
    'head.weight',
    'head.bias',
}


def saved(model, path, **meta):
    content = dict(
        state_dict=drop_frozen(model.state_dict(), model),
        meta=dict(black_box=black_box_facts(model), **meta),
    )
    torch.save(content, path)
    return path


def test_frozen_keys_are_those_of_the_black_box():
    model = Model()
    keys = set(model.state_dict())
    assert keys - frozen_keys(model) == TRAINED
    assert frozen_keys(Model(frozen=False)) == set()


def test_a_shared_frozen_tensor_counts_under_both_names():
    model = Model()
    model.patches = model.backbone.black_box.model.patch_embed
    assert 'patches.proj.weight' in frozen_keys(model)


def test_a_trained_tensor_inside_a_black_box_is_kept():
    model = Model()
    model.backbone.black_box.model.cls_token.requires_grad_(True)
    assert 'backbone.black_box.model.cls_token' not in frozen_keys(model)


def test_drop_frozen_keeps_module_versions():
    model = Model()
    kept = drop_frozen(model.state_dict(), model)
    assert isinstance(kept, OrderedDict)
    assert set(kept) == TRAINED
    assert kept._metadata == model.state_dict()._metadata


def test_load(tmp_path):
    model, other = Model(), Model()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(1.0)
        model.backbone.norm.running_mean.add_(2.0)
    path = saved(model, tmp_path / 'a.pth', classes=['a', 'b', 'c'])
    meta = load_trained_weights(other, path)
    assert meta['classes'] == ['a', 'b', 'c']
    for key, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


def test_other_black_box_is_refused_by_name(tmp_path):
    path = saved(Model(), tmp_path / 'a.pth')
    other = Model(model_name='vit_tiny_patch16_224')
    ours = Model().backbone.black_box.fingerprint()[:12]
    theirs = other.backbone.black_box.fingerprint()[:12]
    with pytest.raises(
        CheckpointError,
        match=rf'a.pth: .*TimmBlackBox\(test_vit\) with weights {ours}, but '
        rf'this model has .*vit_tiny_patch16_224\) with weights {theirs}',
    ):
        load_trained_weights(other, path)


def test_other_weights_of_the_same_vit_are_refused(tmp_path):
    path = saved(Model(), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='the same weights too'):
        load_trained_weights(Model(seed=5), path)


def test_trained_black_box_into_a_frozen_one(tmp_path):
    path = saved(Model(seed=3, frozen=False), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='own weights of the frozen'):
        load_trained_weights(Model(), path)
    # The same weights are no reason to refuse.
    load_trained_weights(Model(seed=3), path)


def test_frozen_black_box_into_a_trained_one(tmp_path):
    path = saved(Model(), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='it misses backbone.black_box'):
        load_trained_weights(Model(frozen=False), path)


def test_no_facts_and_no_weights():
    with pytest.raises(
        CheckpointError, match="not trained beside .* 'backbone.black_box'"
    ):
        check_black_boxes({}, Model())


def test_bare_state_dict_must_fit(tmp_path):
    model = Model()
    torch.save(model.state_dict(), tmp_path / 'whole.pth')
    load_trained_weights(Model(), tmp_path / 'whole.pth')
    torch.save(drop_frozen(model.state_dict(), model), tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match='was not trained beside'):
        load_trained_weights(Model(), tmp_path / 'part.pth')
    torch.save(dict(epoch=3), tmp_path / 'none.pth')
    with pytest.raises(CheckpointError, match="'epoch' is a int"):
        load_trained_weights(Model(), tmp_path / 'none.pth')


def test_children_that_the_model_lacks_are_left_out(tmp_path):
    path = saved(Model(), tmp_path / 'a.pth')
    model = Model()
    del model.head
    load_trained_weights(model, path)


@pytest.mark.parametrize(
    'change,message',
    [
        (lambda s: s.pop('backbone.norm.weight'), 'misses backbone.norm.wei'),
        (lambda s: s.pop('backbone.norm.running_mean'), 'misses .*running_m'),
        (
            lambda s: s.update({'backbone.new': torch.ones(1)}),
            'has the unexpected backbone.new',
        ),
        (
            lambda s: s.update({'head.bias': torch.ones(5)}),
            r'head.bias has the shape \(5,\) in the checkpoint and \(3,\)',
        ),
    ],
)
def test_trained_keys_are_strict(change, message):
    model = Model()
    state = drop_frozen(model.state_dict(), model)
    change(state)
    with pytest.raises(CheckpointError, match=message):
        fit_state_dict(state, model, ['backbone', 'head'])


def test_fit_takes_the_named_children_only():
    model, other = Model(), Model()
    with torch.no_grad():
        other.head.weight.zero_()
        other.backbone.norm.weight.fill_(7.0)
    state = drop_frozen(other.state_dict(), other)
    fitted = fit_state_dict(state, model, ['backbone'])
    assert fitted['backbone.norm.weight'].eq(7).all()
    assert torch.equal(fitted['head.weight'], model.head.weight)


def test_classes():
    check_classes(['a', 'b'], ('a', 'b'))
    check_classes(None, ['a'])
    check_classes(['a'], None)
    with pytest.raises(CheckpointError, match='on 2 classes, the data has 3'):
        check_classes(['a', 'b'], ['a', 'b', 'c'])
    with pytest.raises(
        CheckpointError, match="class 1 is 'b' there and 'c' here"
    ):
        check_classes(['a', 'b'], ['a', 'c'])


def test_lists_for_messages():
    assert children_of(['a.b', 'a.c', 'd']) == ['a', 'd']
    assert list_keys('bca') == 'a, b, c'
    assert list_keys('abcdefg') == 'a, b, c, d, e and 2 more'
