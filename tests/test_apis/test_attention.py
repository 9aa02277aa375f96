"""Attention maps from Python: where the bare ViT, KLA and LORE look."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from lore_mm.apis import AttentionVisualizer, init_model
from lore_mm.engine import ConfigError
from lore_mm.engine.config_file import read_config_file
from lore_mm.engine.failures import is_expected
from lore_mm.models.backbones.attention import attention_of_blocks


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / 'photo.png'
    pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def visualize(classifier_config, checkpoint):
    model = init_model(classifier_config, checkpoint, device='cpu')
    torch.manual_seed(0)
    model.neck.class_embeddings.normal_()  # training would have set them
    return AttentionVisualizer(model)


def inputs_of(visualize, photo):
    pixels = torch.from_numpy(np.array(Image.open(photo))).permute(2, 0, 1)
    batch = visualize.model.data_preprocessor(dict(inputs=[pixels]), False)
    return batch['inputs']


def test_maps_of_the_last_block(visualize, photo):
    maps = visualize.compute(photo)
    last = visualize.num_layers - 1
    img = inputs_of(visualize, photo)
    prefix = visualize.model.backbone.black_box.num_prefix_tokens
    for bare, found in ((True, maps.black_box), (False, maps.lore)):
        weights = attention_of_blocks(visualize.model.backbone, img, bare)
        row = weights[last][0, :, 0].mean(0)
        patches = row[prefix : weights[last].shape[2]].view(4, 4)
        np.testing.assert_allclose(found, patches.numpy(), rtol=1e-5)
        prompts = row[weights[last].shape[2] :]
    np.testing.assert_allclose(maps.prompt_share, prompts, rtol=1e-5)
    assert maps.image.shape == (64, 64, 3)
    assert maps.image.dtype == np.uint8
    assert maps.kla.shape == (4, 4)
    assert float(maps.kla.sum()) == pytest.approx(1, abs=1e-5)
    assert maps.layer == last
    assert maps.query is None
    assert maps.name == f'class_{maps.label}'


def test_head_layer_and_query(visualize, photo):
    every = visualize.compute(photo, layer=0, query=(33.0, 20.0))
    assert every.query == (1, 2)  # row and column of a patch of 16 pixels
    one = visualize.compute(photo, layer=0, query=(33.0, 20.0), head=1)
    np.testing.assert_array_equal(one.lore, every.lore_heads[1])
    np.testing.assert_allclose(every.lore, every.lore_heads.mean(0), rtol=1e-5)
    img = inputs_of(visualize, photo)
    box = visualize.model.backbone.black_box
    weights = attention_of_blocks(visualize.model.backbone, img, True)[0]
    row = weights[0, 1, box.num_prefix_tokens + 6]
    patches = row[box.num_prefix_tokens :].view(4, 4)
    np.testing.assert_allclose(one.black_box, patches.numpy(), rtol=1e-5)


def test_rollout_and_label(visualize, photo):
    rolled = visualize.compute(photo, rollout=True, label=2)
    plain = visualize.compute(photo, label=1)
    assert rolled.lore_heads is None
    assert rolled.prompt_share is None
    assert not np.allclose(rolled.lore, plain.lore)
    assert (rolled.label, rolled.name) == (2, 'class_2')
    assert not np.allclose(rolled.kla, plain.kla)


def test_non_square_images(classifier_config, checkpoint):
    cfg = Config.fromfile(classifier_config)
    steps = cfg.test_dataloader.dataset.pipeline
    for step in steps:
        if 'scale' in step:
            step.scale = (96, 48)
    cfg.test_dataloader.dataset.pipeline = [
        step for step in steps if 'Crop' not in step['type']
    ]
    visualize = AttentionVisualizer(cfg, checkpoint)
    maps = visualize.compute(np.zeros((48, 96, 3), np.uint8))
    assert maps.black_box.shape == (3, 6)
    assert maps.image.shape == (48, 96, 3)


@pytest.fixture
def shipped(monkeypatch):
    """A shipped config around a small ViT of random weights."""
    monkeypatch.setenv('LORE_IMG_SIZE', '70')

    def load(name):
        cfg = read_config_file(name)
        box = dict(
            model_name='vit_small_patch14_dinov2', checkpoint=None,
            img_size=56, embed_dim=32, depth=2, num_heads=2,
        )  # fmt: skip
        cfg.merge_from_dict(dict(model=dict(backbone=dict(black_box=box))))
        return cfg

    return load


def test_images_that_the_preprocessor_pads(shipped):
    """A segmentor's: the grid and the pixels are those of the padded image."""
    cfg = shipped('segmentation/vit-s_folder')
    classes = ('ground', 'cat', 'dog')
    cfg.test_dataloader.dataset.metainfo = dict(classes=classes)
    cfg.model.decode_head.update(in_channels=32, channels=8)
    cfg.model.neck.update(
        embed_dims=32,
        text_dims=16,
        knowledge=dict(type='lore_mm.RandomTextEncoder', embed_dims=16),
    )
    with pytest.warns(UserWarning, match='untrained weights'):
        visualize = AttentionVisualizer(cfg)
    visualize.model.neck.class_embeddings.normal_()
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (101, 150, 3), np.uint8)
    resized = visualize.pipeline(photo)['inputs'].permute(1, 2, 0).numpy()
    assert resized.shape == (70, 104, 3)  # no whole patches of 14
    maps = visualize.compute(photo, query=(111, 69), label=2)
    assert maps.image.shape == (70, 112, 3)
    assert maps.black_box.shape == maps.lore.shape == maps.kla.shape == (5, 8)
    assert maps.query == (4, 7)  # a patch of padding
    np.testing.assert_array_equal(maps.image[:, :104], resized)
    mean = np.round(cfg.data_preprocessor.mean)
    assert (maps.image[:, 104:] == mean).all()
    with pytest.raises(ValueError, match=r'label must be in \[0, 2\], got 3'):
        visualize.compute(photo, label=3)


def test_configs_of_retrieval_are_refused(shipped):
    cfg = shipped('retrieval/vit-s_scenes')
    with pytest.raises(ConfigError, match='take the config of a classifier'):
        AttentionVisualizer(cfg)


def test_blocks_that_are_not_standard_are_refused(visualize, photo):
    block = visualize.model.backbone.black_box.blocks[1]
    block.attn.register_forward_hook(lambda *args: None)
    with pytest.raises(ValueError, match='without adapters or hooks') as got:
        visualize.compute(photo)
    assert is_expected(got.value)  # told in one line by the tool


def test_bare_model_and_no_embeddings(visualize, photo):
    model = visualize.model
    model.neck.class_embeddings.zero_()
    assert visualize.compute(photo).kla is None
    model.backbone.white_box = None
    maps = visualize.compute(photo)
    assert maps.lore is None
    assert maps.prompt_share is None
    assert visualize.draw(maps, 64).shape[1] == 2 * 64 + 6


def test_files(visualize, photo, tmp_path):
    out = tmp_path / 'out'
    (path,) = visualize(photo, out, layer=1)
    assert path == out / 'photo.png'
    width, height = Image.open(path).size
    assert width == 4 * 224 + 3 * 6
    assert height > 224
    arrays = np.load(path.with_suffix('.npz'))
    maps = visualize.compute(photo, layer=1)
    np.testing.assert_array_equal(arrays['lore'], maps.lore)
    assert arrays['layer'] == 1
    assert str(arrays['name']) == maps.name


def test_equal_names_are_kept_apart(visualize, photo, tmp_path):
    other = tmp_path / 'more' / 'photo.png'
    other.parent.mkdir()
    other.write_bytes(photo.read_bytes())
    first, second = visualize([photo, other], tmp_path / 'out')
    assert first.name == 'photo.png'
    assert second.name == 'photo_1.png'


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(layer=99), r'layer must be in \[-\d+, \d+\], got 99'),
        (dict(head=9), r'head must be in \[0, \d+\] or None'),
        (dict(query=(64, 0)), 'query must lie in the image of 64 x 64'),
        (dict(query='patch'), "query must be 'cls' or x and y"),
        (dict(label=3), r'label must be in \[0, 2\], got 3'),
    ],
)
def test_arguments_out_of_range(visualize, photo, options, message):
    with pytest.raises(ValueError, match=message):
        visualize.compute(photo, **options)


def test_text_in_the_place_of_an_image(visualize, tmp_path):
    text = tmp_path / 'notes.png'
    text.write_text('no image')
    with pytest.raises(ValueError, match='notes.png'):
        visualize.compute(text)


def test_unwritable_folder(visualize, photo, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='file'):
        visualize(photo, tmp_path / 'file')


def test_other_backbones(classifier_config, checkpoint):
    model = init_model(classifier_config, checkpoint)
    model.backbone = torch.nn.Identity()
    with pytest.raises(ConfigError, match='LOREViT or a PromptedViT'):
        AttentionVisualizer(model)
