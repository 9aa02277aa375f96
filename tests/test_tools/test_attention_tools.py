"""tools/visualization/attention_maps.py and tools/analysis/locality.py."""

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from lore_mm.apis import AttentionVisualizer

MAPS = 'visualization/attention_maps.py'
LOCALITY = 'analysis/locality.py'
BOX = (16, 32, 16, 16)  # x, y, width, height


@pytest.fixture
def trained(call_tool, tiny_config, tmp_path):
    """Work folder of a short training."""
    torch.manual_seed(0)  # random weights would differ at each build
    vit = timm.create_model('test_vit', img_size=64, num_classes=0)
    save_file(vit.state_dict(), tmp_path / 'vit.safetensors')
    config = tiny_config(
        train_cfg__max_epochs=1,
        model__backbone__black_box__checkpoint=str(
            tmp_path / 'vit.safetensors'
        ),
    )
    call_tool('train.py', config, '--work-dir', tmp_path / 'run')
    return config, tmp_path / 'run'


@pytest.fixture
def make_cub(tmp_path):
    """Classes of birds, a train and two test images each."""

    def make(*names):
        root, rng = tmp_path / 'CUB', np.random.default_rng(0)
        lines = {'images': [], 'image_class_labels': []}
        lines.update(train_test_split=[], bounding_boxes=[], classes=[])
        box = ' '.join(f'{v}.0' for v in BOX)
        for index in range(3 * len(names)):
            label, number = index // 3 + 1, index + 1
            name = f'{label:03d}.{names[label - 1]}/b{index}.jpg'
            path = root / 'images' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(path)
            lines['images'].append(f'{number} {name}')
            lines['image_class_labels'].append(f'{number} {label}')
            lines['train_test_split'].append(f'{number} {int(index % 3 == 0)}')
            lines['bounding_boxes'].append(f'{number} {box}')
        for label, name in enumerate(names, 1):
            lines['classes'].append(f'{label} {label:03d}.{name}')
        for name, content in lines.items():
            (root / f'{name}.txt').write_text('\n'.join(content) + '\n')
        return root

    return make


@pytest.fixture
def measured(call_tool, trained, tmp_path):
    """Run the tool; what it wrote as JSON and as text."""

    def run(*options):
        out = tmp_path / 'out'
        call_tool(
            LOCALITY, *options, '--config', trained[0],
            '--checkpoint', trained[1], '--size', 64, '--out', out,
        )  # fmt: skip
        text = (out / 'locality.md').read_text()
        return json.loads((out / 'locality.json').read_text()), text

    return run


@pytest.mark.parametrize('together', [True, False])
def test_maps_of_two_models(call_tool, trained, tmp_path, capsys, together):
    config, run = trained
    photo = next((tmp_path / 'images_3/test').rglob('*.png'))
    models = [
        '--config', config, '--checkpoint', run,
        '--config', config, '--checkpoint', 'none',
    ]  # fmt: skip
    if together:
        models = ['--config', config, config, '--checkpoint', run, 'none']
    call_tool(
        MAPS, photo, *models,
        '--layer', 0, '--query', 20, 20, '--out-dir', tmp_path / 'maps',
    )  # fmt: skip
    arrays = np.load(tmp_path / 'maps' / f'{photo.stem}.npz')
    names = sorted({key.split('.')[0] for key in arrays})
    assert len(names) == 2
    assert arrays[f'{names[0]}.query'].tolist() == [1, 1]
    assert 'on prompts' in capsys.readouterr().out


@pytest.mark.parametrize(
    'options, message',
    [
        (['--layer', '40'], 'layer must be in'),
        (['--query', '500', '3'], 'query must lie in the image'),
    ],
)
def test_maps_errors(call_tool, trained, tmp_path, options, message):
    photo = next((tmp_path / 'images_3/test').rglob('*.png'))
    with pytest.raises(SystemExit, match=message):
        call_tool(MAPS, photo, '--checkpoint', trained[1], *options)


def test_maps_of_another_models_checkpoint(call_tool, trained, tmp_path):
    photo = next((tmp_path / 'images_3/test').rglob('*.png'))
    checkpoint = next(trained[1].glob('epoch_*.pth'))
    with pytest.raises(SystemExit, match=f'{checkpoint.name}: '):
        call_tool(
            MAPS, photo, '--config', trained[0], '--checkpoint', checkpoint,
            '--cfg-options', 'model.backbone.black_box.checkpoint=None',
            '--out', tmp_path / 'maps',
        )  # fmt: skip
    assert not list(tmp_path.glob('maps/*'))


def test_locality(call_tool, trained, make_cub, tmp_path):
    config, run = trained
    cub = make_cub('Bird_0', 'Bird_1')
    call_tool(
        LOCALITY, '--cub', cub, '--config', config, '--checkpoint', run, run,
        '--size', 64, '--out', tmp_path / 'out',
    )  # fmt: skip
    found = json.loads((tmp_path / 'out/locality.json').read_text())
    assert found['images'] == 4
    assert found['area'] == pytest.approx(1 / 16)
    assert np.shape(found['lore'])[:2] == (2, 3)
    assert found['lore'][0] == found['lore'][1]  # the same checkpoint twice
    bare = np.array(found['black_box'])
    assert (bare[0] > 0).all()
    assert (bare[0] < 0.5).all()
    assert (bare[2] == 0).all()  # it has no prompts
    lore = np.array(found['lore'][0])
    assert (lore[2] > 0).all()  # `released` has prompts in every block
    assert (lore[2] < 1).all()
    # The first block's patches share what prompts leave as they did before.
    np.testing.assert_allclose(lore[:2, 0], bare[:2, 0], rtol=1e-4)
    changed = np.abs(lore - bare)[:2, 1:]
    assert (changed[0] > 1e-6).all()
    assert changed[1].max() > 1e-6
    assert Image.open(tmp_path / 'out/locality.png').width > 500
    text = (tmp_path / 'out/locality.md').read_text()
    assert text.count('±') >= 3
    assert '4 images' in text


def test_kla_of_the_true_class_goes_by_its_name(measured, make_cub, trained):
    """The model's labels are not those of the folder: 2, 0 and 0, 1."""
    cub = make_cub('class_2', 'class_0')
    found, text = measured('--cub', cub)
    visualize = AttentionVisualizer(trained[1])
    paths = [cub / f'images/001.class_2/b{i}.jpg' for i in (1, 2)]
    paths += [cub / f'images/002.class_0/b{i}.jpg' for i in (4, 5)]
    masses = [
        float(visualize.read(path).kla[label, 9])  # the patch of the box
        for path, label in zip(paths, (2, 2, 0, 0), strict=True)
    ]
    assert found['kla_true_class'][0] == pytest.approx(np.mean(masses))
    assert 'kla_true_class: ' in text


def test_kla_of_classes_that_the_model_does_not_know(measured, make_cub):
    """There are more of them, too, than the model has."""
    cub = make_cub('class_2', 'class_0', 'class_1', 'Bird')
    found, text = measured('--cub', cub)
    assert found['kla_true_class'] == [None]
    assert found['kla_all_classes'][0] > 0
    assert 'kla_true_class is left out: not every image has a class' in text


def test_void_is_no_object_but_in_2016(measured, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[:32, :32] = 1
    mask[32:] = 255
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for folder, name, each in (
        ('Annotations', '00000.png', mask),
        ('JPEGImages', '00000.jpg', pixels),
    ):
        path = tmp_path / 'DAVIS' / folder / '480p/bear' / name
        path.parent.mkdir(parents=True)
        Image.fromarray(each).save(path)
    davis = tmp_path / 'DAVIS'
    assert measured('--davis', davis)[0]['area'] == 0.25
    assert measured('--davis', davis, '--year', 2016)[0]['area'] == 0.75
    mask[mask == 1] = 0
    Image.fromarray(mask).save(davis / 'Annotations/480p/bear/00000.png')
    with pytest.raises(SystemExit, match='255 are those of --year 2016'):
        measured('--davis', davis)


def test_locality_without_masks(call_tool, trained, tmp_path):
    with pytest.raises(SystemExit, match='must be the DAVIS folder'):
        call_tool(
            LOCALITY, '--davis', tmp_path, '--config', trained[0],
            '--checkpoint', trained[1], '--out', tmp_path / 'out',
        )  # fmt: skip
