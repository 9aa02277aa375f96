"""tools/visualization/attention_maps.py and tools/analysis/locality.py."""

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

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
def cub(tmp_path):
    """Two classes of birds, a train and two test images each."""
    root, rng = tmp_path / 'CUB', np.random.default_rng(0)
    lines = {'images': [], 'image_class_labels': [], 'train_test_split': []}
    boxes = []
    for index in range(6):
        name = f'{index // 3 + 1:03d}.Bird_{index // 3}/b{index}.jpg'
        path = root / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        lines['images'].append(f'{index + 1} {name}')
        lines['image_class_labels'].append(f'{index + 1} {index // 3 + 1}')
        lines['train_test_split'].append(f'{index + 1} {int(index % 3 == 0)}')
        boxes.append(f'{index + 1} ' + ' '.join(f'{v}.0' for v in BOX))
    lines['bounding_boxes'] = boxes
    lines['classes'] = ['1 001.Bird_0', '2 002.Bird_1']
    for name, content in lines.items():
        (root / f'{name}.txt').write_text('\n'.join(content) + '\n')
    return root


def test_maps_of_two_models(call_tool, trained, tmp_path, capsys):
    config, run = trained
    photo = next((tmp_path / 'images_3/test').rglob('*.png'))
    call_tool(
        MAPS, photo, '--config', config, '--checkpoint', run,
        '--config', config, '--checkpoint', 'none',
        '--layer', 0, '--query', 20, 20, '--out', tmp_path / 'maps',
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


def test_locality(call_tool, trained, cub, tmp_path):
    config, run = trained
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
    assert Image.open(tmp_path / 'out/locality.png').width > 500
    text = (tmp_path / 'out/locality.md').read_text()
    assert text.count('±') >= 3
    assert '4 images' in text


def test_locality_without_masks(call_tool, trained, tmp_path):
    with pytest.raises(SystemExit, match='must be the DAVIS folder'):
        call_tool(
            LOCALITY, '--davis', tmp_path, '--config', trained[0],
            '--checkpoint', trained[1], '--out', tmp_path / 'out',
        )  # fmt: skip
