"""CorrespondenceInferencer: points in, points and a picture out."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from lore_mm.apis import Correspondence, CorrespondenceInferencer
from lore_mm.apis.correspondence import grid_points
from lore_mm.models import KeypointMatcher

SIZE = (96, 64)


def config(white_box=None):
    return Config(
        dict(
            default_scope='mmpretrain',
            model=dict(
                type='lore_mm.KeypointMatcher',
                backbone=dict(
                    type='lore_mm.LOREViT',
                    black_box=dict(
                        type='lore_mm.TimmBlackBox',
                        model_name='test_vit',
                        img_size=64,
                    ),
                    white_box=white_box,
                    out_type='featmap',
                ),
                readout='patch-centre',
            ),
            data_preprocessor=dict(
                num_classes=None, mean=[127.5] * 3, std=[127.5] * 3
            ),
            test_dataloader=dict(
                dataset=dict(
                    pipeline=[
                        dict(type='lore_mm.LoadRGBImage'),
                        dict(type='Resize', scale=(64, 64)),
                        dict(type='PackInputs'),
                    ]
                )
            ),
        )
    )


@pytest.fixture
def image(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (8, 12, 3), dtype=np.uint8)
    path = tmp_path / 'image.png'
    Image.fromarray(pixels).resize(SIZE).save(path)
    return path


@pytest.fixture
def match():
    torch.manual_seed(0)
    return CorrespondenceInferencer(config())


def test_points_of_files_and_of_pixels(match, image):
    points = [[12, 8], [84, 56]]  # centres of patches of 24 x 16 pixels
    found = match(image, image, points)
    assert isinstance(found, Correspondence)
    assert found.source_points.tolist() == points
    assert found.target_points.tolist() == points
    assert found.mutual.all()
    assert found.correct is None
    assert found.scores.tolist() == pytest.approx([1, 1], abs=1e-5)
    assert found.picture.shape == (400, 600 + 8 + 600, 3)
    pixels = np.array(Image.open(image))
    again = match(pixels, str(image), points)
    assert again.target_points.tolist() == points
    assert len(match.model.cache) == 1  # known by its content


def test_a_grid_of_points(match, image):
    found = match(image, image, grid=3)
    assert found.source_points.tolist() == grid_points(SIZE, 3).tolist()
    assert found.source_points[1].tolist() == [48, pytest.approx(64 / 6)]
    assert len(found.target_points) == 9


def test_truth_colours_the_lines(match, image, tmp_path):
    points = [[12, 8], [84, 56]]
    truth = [[12, 8], [40, 10]]
    out = tmp_path / 'new' / 'lines.png'
    found = match(image, image, points, target_points=truth, out_file=out)
    # Of the box of the truth: 28 pixels, a threshold of 2.8.
    assert found.correct.tolist() == [True, False]
    assert (np.array(Image.open(out)) == found.picture).all()
    found = match(
        image, image, points, target_points=truth, target_box=[0, 0, 640, 64]
    )
    assert found.correct.tolist() == [True, True]


def test_a_picture_that_cannot_be_written(match, image, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.png.* got '\.txt'"):
        match('nowhere.png', image, out_file=tmp_path / 'a.txt')
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(ValueError, match='cannot be written .*another file'):
        match(image, image, out_file=tmp_path / 'file/a.png')


def test_a_checkpoint_fills_the_white_box(image, tmp_path):
    """The file of a classifier: its head is left out."""
    white_box = dict(type='lore_mm.WhiteBox', preset='released')
    torch.manual_seed(0)
    bare = CorrespondenceInferencer(config(white_box), device='cpu')
    assert bare.model.backbone.white_box is None
    trained = KeypointMatcher(
        dict(
            config(white_box).model.backbone,
            black_box=bare.model.backbone.black_box,
        )
    )
    state = trained.state_dict()
    state = {**state, 'head.fc.weight': torch.zeros(2, 2)}
    torch.save(dict(state_dict=state), tmp_path / 'a.pth')
    options = {'model.backbone.black_box.frozen': False}
    loaded = CorrespondenceInferencer(
        config(white_box), tmp_path / 'a.pth', 'cpu', options
    )
    key = 'backbone.white_box.prompt_generator'
    mine = loaded.model.state_dict()
    white = [name for name in mine if name.startswith(key)]
    assert white
    assert all(mine[name].equal(state[name]) for name in white)


def test_configs_by_name(monkeypatch):
    built = {}

    def build(model):
        built.update(model)
        return torch.nn.Identity()

    monkeypatch.setattr('lore_mm.registry.MODELS.build', build)
    with pytest.raises(
        ValueError, match='must be a KeypointMatcher, got Identity'
    ):
        CorrespondenceInferencer('correspondence/vit-s_pf-willow')
    assert built['backbone']['white_box'] is None
    assert built['data_preprocessor']['mean'][0] == 123.675
    with pytest.raises(FileNotFoundError, match='vit-s_pf-willow'):
        CorrespondenceInferencer('correspondence/vit-s_pf-wilow')


@pytest.mark.parametrize(
    'kwargs,message',
    [
        (dict(points=[[97, 1]]), r'\(97, 1\) is outside the source of 96 x'),
        (dict(points=[]), 'no key points for the source'),
        (
            dict(points=[[1, 1]], target_points=[[1, 65]]),
            r'\(1, 65\) is outside the target',
        ),
        (
            dict(points=[[1, 1]], target_points=[[1, 1], [5, 5]]),
            'same number of points, got 1 and 2',
        ),
        (dict(grid=0), 'grid must be >= 1, got 0'),
    ],
)
def test_bad_points(match, image, kwargs, message):
    with pytest.raises(ValueError, match=message):
        match(image, image, **kwargs)


def test_bad_images(match, image, tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.png' does not exist"):
        match(tmp_path / 'gone.png', image)
    with pytest.raises(ValueError, match=r'RGB pixels .* float64 \(8, 8, 3\)'):
        match(image, np.zeros((8, 8, 3)))
