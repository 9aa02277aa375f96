"""Index a folder, ask with images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from lore_mm.apis import RetrievalInferencer
from lore_mm.datasets import relevance
from lore_mm.models import LOREViT

CONFIG = Path(__file__).resolve().parents[2] / (
    'configs/retrieval/vit-s_scenes.py'
)
COLOURS = dict(red=(220, 40, 40), green=(40, 200, 40), blue=(40, 40, 220))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / 'photos' / name).mkdir(parents=True)
        for i in range(3):
            noise = rng.integers(-20, 20, (48 + 12 * i, 60, 3))
            pixels = np.clip(noise + np.array(colour), 0, 255)
            img = Image.fromarray(pixels.astype(np.uint8))
            img.save(tmp_path / 'photos' / name / f'{i}.PNG')
    (tmp_path / 'photos' / 'notes.txt').write_text('not an image')
    return tmp_path / 'photos'


@pytest.fixture
def cfg():
    config = Config.fromfile(CONFIG)
    box = config.model.backbone.black_box
    box.pop('checkpoint')
    # init_values: blocks that count, without trained weights
    box.update(
        embed_dim=32, depth=2, num_heads=2, img_size=56, init_values=1.0
    )
    torch.manual_seed(0)
    return config


def test_finds_images_like_the_query(cfg, folder, tmp_path):
    find = RetrievalInferencer(cfg).index(folder)
    assert len(find.images) == 9
    assert find.model.backbone.white_box is None  # no checkpoint
    query = folder / 'green' / '1.PNG'
    ((first, *rest),) = find(query, topk=3)
    assert first.path == str(query)
    assert first.score == pytest.approx(1, abs=1e-6)
    assert first.relevant is None
    assert [Path(tile.path).parent.name for tile in rest] == ['green'] * 2
    scores = [tile.score for tile in (first, *rest)]
    assert scores == sorted(scores, reverse=True)


def test_contact_sheet_and_truth(cfg, folder, tmp_path):
    names = sorted(str(path)[:-4] for path in folder.rglob('*.PNG'))
    red = [i for i, name in enumerate(names) if '/red/' in name]
    gnd = [dict(easy=red[1:], hard=[], junk=red[:1])]
    truth = relevance(dict(gnd=gnd, imlist=names, qimlist=names[red[0] :][:1]))
    find = RetrievalInferencer(cfg).index(folder)
    sheet = tmp_path / 'sheet.png'
    query = folder / 'red' / '0.PNG'
    (found,) = find([query], topk=9, truth=truth, contact_sheet=sheet)
    told = {Path(t.path).relative_to(folder).as_posix(): t for t in found}
    assert told['red/0.PNG'].relevant is None
    assert told['red/2.PNG'].relevant is True
    assert told['blue/2.PNG'].relevant is False
    with Image.open(sheet) as img:
        assert img.width > 9 * 128


def test_index_is_kept_and_used_again(cfg, folder, tmp_path, monkeypatch):
    cache = tmp_path / 'cache'
    state = torch.random.get_rng_state()
    one = RetrievalInferencer(cfg, cache_dir=cache).index(folder)
    assert isinstance(one.descriptors, np.memmap)
    torch.random.set_rng_state(state)  # the same random weights

    def forward(self, img):
        raise AssertionError('described again')

    with monkeypatch.context() as patch:
        two = RetrievalInferencer(cfg, cache_dir=cache)
        patch.setattr(LOREViT, 'forward', forward)
        assert np.array_equal(two.index(folder).descriptors, one.descriptors)
    (folder / 'red' / '0.PNG').unlink()
    assert len(two.index(folder).descriptors) == 8
    assert len(list(cache.iterdir())) == 2
    plain = RetrievalInferencer(cfg).index(two.images)
    assert plain.descriptors.shape == (8, 32)


def test_bad_input(cfg, folder, tmp_path):
    find = RetrievalInferencer(cfg)
    with pytest.raises(RuntimeError, match=r'call index\(images\) first'):
        find(folder)
    with pytest.raises(FileNotFoundError, match='nowhere.* does not exist'):
        find.index(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match=r'1 of 2 images .*gone\.png'):
        find.index([folder / 'red' / '0.PNG', tmp_path / 'gone.png'])
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='there is no image in .*empty'):
        find.index(tmp_path / 'empty')
    find.index(folder)
    with pytest.raises(ValueError, match='there is no image in'):
        find([])
    with pytest.raises(ValueError, match='k must be at least 1, got 0'):
        find(folder / 'red', topk=0)
    with pytest.raises(ValueError, match=r"must end in \.png.* got ''"):
        find(folder / 'red', contact_sheet=tmp_path / 'sheet')
    with pytest.raises(FileNotFoundError, match='retrieval/vit-s_scenes'):
        RetrievalInferencer('retrieval/vit-s_scene')
