"""The examples of docs/python_api.md, on tiny models."""

import doctest
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from lore_mm.apis import ClassificationInferencer, init_model
from lore_mm.apis.images import image_batches
from lore_mm.engine.export import export_model
from lore_mm.engine.export_resize import resize_facts

ROOT = Path(__file__).parents[2]
TASKS = (
    'retrieval/vit-s_scenes',
    'correspondence/vit-s_pf-willow',
    'vos/vit-s_davis2017',
)


def shrink(name, folder):
    """A config of the same name with a tiny ViT and small images."""
    cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    box = cfg.model.backbone.black_box
    box.pop('checkpoint')
    box.update(embed_dim=32, depth=2, num_heads=2, img_size=56)
    box.update(init_values=1.0)  # blocks that count, without training
    if 'short_side' in cfg.data_preprocessor:
        cfg.data_preprocessor.short_side = 56
    file = folder / 'configs' / f'{name}.py'
    file.parent.mkdir(parents=True, exist_ok=True)
    cfg.dump(file)


@pytest.fixture
def workplace(tmp_path, checkpoint, vit_file, monkeypatch):
    """The files that the page speaks of, in the current folder."""
    for name in TASKS:
        shrink(name, tmp_path)
    (tmp_path / 'work_dirs').mkdir()
    checkpoint.parent.rename(tmp_path / 'work_dirs' / 'vit-s_textile')
    (tmp_path / 'weights').mkdir()
    shutil.copy(vit_file, tmp_path / 'weights' / 'vit.safetensors')
    rng = np.random.default_rng(0)
    names = ('photos/a.png', 'photos/b.png', 'clip/0.png', 'clip/1.png')
    for name in names:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(file)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 1
    Image.fromarray(mask).save(tmp_path / 'first_mask.png')
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures('workplace')
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_examples():
    text = (ROOT / 'docs' / 'python_api.md').read_text()
    blocks = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    assert len(blocks) == text.count('>>> from lore_mm.apis') + 2
    names = {}
    for number, block in enumerate(blocks):
        example = doctest.DocTestParser().get_doctest(
            block, names, f'block {number}', 'python_api.md', 0
        )
        assert example.examples
        said = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(example, out=said.append, clear_globs=False)
        assert runner.summarize(verbose=False).failed == 0, ''.join(said)
        names = example.globs


LOAD = dict(type='lore_mm.LoadRGBImage', min_side=128)
PILLOW = dict(backend='pillow', interpolation='bicubic')
SQUASH = [dict(type='Resize', scale=(64, 64), **PILLOW)]
CROP = [
    dict(type='ResizeEdge', scale=73, **PILLOW),
    dict(type='CenterCrop', crop_size=64),
]


@pytest.mark.usefixtures('workplace')
@pytest.mark.parametrize('steps', [SQUASH, CROP], ids=['squash', 'crop'])
def test_exported_files_are_used_as_the_page_says(capsys, steps):
    """docs/deployment.md: without this package, what is tested with it."""
    for name in ('onnx', 'onnxruntime', 'onnxscript'):
        pytest.importorskip(name)
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (30, 43, 3), np.uint8))
    photo = coarse.resize((430, 301))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    photo.save('photos/a.png', 'JPEG', exif=exif)
    model = init_model('work_dirs/vit-s_textile')
    pipeline = [LOAD, *steps, dict(type='PackInputs')]
    model.cfg.test_dataloader.dataset.pipeline = pipeline
    classify = ClassificationInferencer(model.cfg, 'work_dirs/vit-s_textile')
    resize = resize_facts(classify.pipeline.steps.transforms, (64, 64), 128)
    options = dict(batch_sizes=[1], resize=resize)
    export_model(model, 'lore.onnx', 'onnx', (64, 64), **options)
    export_model(model, 'lore.pt2', 'torch', (64, 64), **options)
    text = (ROOT / 'docs' / 'deployment.md').read_text()
    onnx, torch_ = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    names = {}
    exec(onnx, names)  # noqa: S102
    logits = names['logits']
    (batch,) = image_batches(['photos/a.png'], classify.pipeline)
    assert np.array_equal(names['images'][0], batch['inputs'][0].numpy())
    exec(torch_, names)  # noqa: S102
    assert names['logits'].numpy() == pytest.approx(logits, abs=1e-4)
    (row,) = classify('photos/a.png', topk=1)
    assert capsys.readouterr().out == f'{row["names"][0]}\n'
