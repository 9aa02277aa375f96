"""DAVIS's folders, their faults, and masks as palette files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lore_mm.datasets import DAVISDataset, FrameFiles, PackVideo
from lore_mm.datasets.davis_masks import davis_palette, load_mask, save_mask

HEIGHT, WIDTH = 24, 40


def write_video(root: Path, name: str, length: int, objects: int = 2) -> None:
    """Frames and masks; each object is one row of squares."""
    frames = root / 'JPEGImages/480p' / name
    frames.mkdir(parents=True)
    for index in range(length):
        mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        for each in range(1, objects + 1):
            mask[5 * each : 5 * each + 4, index : index + 8] = each
        save_mask(root / 'Annotations/480p' / name / f'{index:05d}.png', mask)
        img = np.full((HEIGHT, WIDTH, 3), index, dtype=np.uint8)
        Image.fromarray(img).save(frames / f'{index:05d}.jpg')


@pytest.fixture
def davis(tmp_path):
    """Two videos, of 4 frames with 2 objects and of 3 frames with 1."""
    write_video(tmp_path, 'cows', 4)
    write_video(tmp_path, 'dog', 3, objects=1)
    folder = tmp_path / 'ImageSets/2017'
    folder.mkdir(parents=True)
    (folder / 'val.txt').write_text('cows\ndog\n\n')
    return tmp_path


def load(root: Path, **options) -> DAVISDataset:
    pipeline = [dict(type='lore_mm.PackVideo')]
    return DAVISDataset(str(root), pipeline=pipeline, **options)


def test_a_sample_is_a_video(davis):
    dataset = load(davis)
    assert len(dataset) == 2
    sample = dataset[0]
    video, facts = sample['inputs'], sample['data_samples']
    assert isinstance(video, FrameFiles)
    assert len(video) == 4
    assert [int(frame.mean()) for frame in video] == [0, 1, 2, 3]
    assert facts.sequence == 'cows'
    assert facts.num_objects == 2
    assert facts.void_id == 0
    assert len(facts.ann_paths) == len(facts.img_paths) == 4
    first = facts.gt_sem_seg.data
    assert first.shape == (1, HEIGHT, WIDTH)
    assert first.dtype == torch.uint8
    assert first.unique().tolist() == [0, 1, 2]


def test_frames_are_read_when_asked_for(davis):
    video = load(davis)[0]['inputs']
    Path(video.paths[2]).unlink()
    assert video[1].shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(FileNotFoundError, match='00002.jpg'):
        video[2]


def test_some_sequences(davis):
    dataset = load(davis, sequences=['dog'])
    assert len(dataset) == 1
    assert dataset.get_data_info(0)['sequence'] == 'dog'
    with pytest.raises(ValueError, match=r"\['cat'\] are not in .*val.txt"):
        load(davis, sequences=['cat'])


def test_masks_of_2016_are_one_object(davis):
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[3:9] = 255
    for path in (davis / 'Annotations/480p/dog').iterdir():
        Image.fromarray(mask).save(path)
    (davis / 'ImageSets/2016').mkdir()
    lines = '/JPEGImages/480p/dog/{0}.jpg /Annotations/480p/dog/{0}.png\n'
    (davis / 'ImageSets/2016/val.txt').write_text(
        ''.join(lines.format(f'{i:05d}') for i in range(3))
    )
    (sample,) = load(davis, year=2016)
    assert sample['data_samples'].num_objects == 1
    assert sample['data_samples'].gt_sem_seg.data.sum() == 6 * WIDTH
    with pytest.raises(ValueError, match='holds no object .*unless year=2016'):
        load(davis, sequences=['dog'])[0]  # void in 2017


def test_void_is_background(davis):
    path = davis / 'Annotations/480p/cows/00000.png'
    mask = load_mask(path)
    image = Image.fromarray(np.where(mask == 2, 255, mask).astype(np.uint8))
    image.putpalette(davis_palette().ravel().tolist())
    image.save(path)
    facts = load(davis)[0]['data_samples']
    assert facts.num_objects == 1
    assert facts.gt_sem_seg.data.max() == 1


def test_only_first_frames_have_masks(davis):
    for path in (davis / 'Annotations/480p').glob('*/0000[1-9].png'):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="00001.png' and 2 more"):
        load(davis)
    facts = load(davis, annotations='first')[0]['data_samples']
    assert len(facts.ann_paths) == 1
    assert len(facts.img_paths) == 4


def test_missing_frame(davis):
    (davis / 'JPEGImages/480p/cows/00002.jpg').unlink()
    with pytest.raises(ValueError, match="'cows' lacks frame 00002"):
        load(davis)


@pytest.mark.parametrize('stem', ['00000', '00003'])
def test_missing_first_or_last_frame(davis, stem):
    """No gap tells of them, but their masks are there."""
    (davis / f'JPEGImages/480p/cows/{stem}.jpg').unlink()
    with pytest.raises(ValueError, match=f"lacks frame {stem}: '.*{stem}.png"):
        load(davis)


def test_missing_mask(davis):
    (davis / 'Annotations/480p/cows/00002.png').unlink()
    with pytest.raises(FileNotFoundError, match="'cows' lacks .*00002.png'"):
        load(davis)


def test_one_frame(davis):
    for index in (1, 2):
        (davis / f'JPEGImages/480p/dog/0000{index}.jpg').unlink()
    with pytest.raises(ValueError, match="'dog' has 1 frame; at least 2"):
        load(davis)


def test_empty_first_mask(davis):
    save_mask(
        davis / 'Annotations/480p/dog/00000.png',
        np.zeros((HEIGHT, WIDTH), np.uint8),
    )
    with pytest.raises(ValueError, match=r"00000.png' holds no object"):
        load(davis)[1]


def test_missing_folders(davis, tmp_path):
    with pytest.raises(FileNotFoundError, match='DAVIS_ROOT'):
        load(tmp_path / 'nothing')
    with pytest.raises(FileNotFoundError, match='train.txt'):
        load(davis, split='train')
    (davis / 'ImageSets/2017/val.txt').write_text('goat\n')
    with pytest.raises(FileNotFoundError, match="'goat' has no folder"):
        load(davis)
    (davis / 'JPEGImages/480p/goat').mkdir()
    with pytest.raises(ValueError, match='holds no frames'):
        load(davis)
    (davis / 'ImageSets/2017/val.txt').write_text('\n')
    with pytest.raises(ValueError, match='names no sequence'):
        load(davis)


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(year=2018), r'year must be one of \(2016, 2017\), got 2018'),
        (dict(annotations='some'), "annotations must be one of .*'some'"),
    ],
)
def test_bad_arguments(davis, options, message):
    with pytest.raises(ValueError, match=message):
        load(davis, **options)


def test_real_videos(real_data):
    dataset = load(real_data / 'DAVIS')
    names = [dataset.get_data_info(i)['sequence'] for i in range(5)]
    assert names[0] == 'blackswan'
    sizes = [len(dataset.get_data_info(i)['img_paths']) for i in range(5)]
    assert sum(sizes) == 240
    for year, folder in ((2016, '480p_2016'), (2017, '480p')):
        sample = load(real_data / 'DAVIS', year=year, ann_dir=folder)[0]
        assert sample['data_samples'].num_objects == 1
        assert sample['data_samples'].gt_sem_seg.data.shape == (1, 480, 854)


def test_numbers_are_in_order(tmp_path):
    for name in ('10', '9', '100', '.hidden'):
        Image.new('RGB', (2, 2)).save(tmp_path / f'{name}.png')
    (tmp_path / 'notes.txt').write_text('no frame')
    paths = FrameFiles.from_folder(tmp_path).paths
    assert [Path(path).stem for path in paths] == ['9', '10', '100']


def test_numbers_in_names_are_in_order(tmp_path):
    names = [f'take2_frame_{i}' for i in range(1, 13)]
    for name in reversed(names):
        Image.new('RGB', (2, 2)).save(tmp_path / f'{name}.png')
    Image.new('RGB', (2, 2)).save(tmp_path / 'take10_frame_1.png')
    paths = FrameFiles.from_folder(tmp_path).paths
    assert [Path(path).stem for path in paths] == [*names, 'take10_frame_1']


def test_a_name_with_dots_is_a_sequence(davis):
    name = '2026.05.01_a'
    write_video(davis, name, 3)
    (davis / 'ImageSets/2017/val.txt').write_text(f'{name}\n')
    assert load(davis).get_data_info(0)['sequence'] == name


# -- masks ---------------------------------------------------------------
def test_palette_of_davis(real_data):
    path = real_data / 'DAVIS/Annotations/480p/dog/00000.png'
    with Image.open(path) as image:
        stored = np.array(image.getpalette()).reshape(-1, 3)
    assert np.array_equal(davis_palette()[: len(stored)][:2], stored[:2])
    assert davis_palette()[:4].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
    ]
    assert len(np.unique(davis_palette(), axis=0)) == 256


def test_masks_survive_writing(tmp_path):
    mask = np.arange(255, dtype=np.uint8).reshape(15, 17)
    path = tmp_path / 'new' / 'a.png'
    save_mask(path, mask)
    assert np.array_equal(load_mask(path), mask)
    with Image.open(path) as image:
        assert image.mode == 'P'
    assert [each.name for each in path.parent.iterdir()] == ['a.png']


def test_gray_and_binary_masks(tmp_path):
    mask = np.array([[0, 3], [255, 1]], dtype=np.uint8)
    Image.fromarray(mask).save(tmp_path / 'gray.png')
    assert load_mask(tmp_path / 'gray.png').tolist() == [[0, 3], [0, 1]]
    Image.fromarray(mask > 1).save(tmp_path / 'bits.png')
    assert load_mask(tmp_path / 'bits.png').tolist() == [[0, 1], [1, 0]]


def test_mask_with_colours(tmp_path):
    Image.new('RGB', (4, 4), 'red').save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=r'mode P.*got mode RGB'):
        load_mask(tmp_path / 'a.png')


def test_unreadable_masks(tmp_path):
    with pytest.raises(FileNotFoundError, match="mask '.*none.png'"):
        load_mask(tmp_path / 'none.png')
    (tmp_path / 'a.png').write_text('no image')
    with pytest.raises(ValueError, match=r'a.png. cannot be read'):
        load_mask(tmp_path / 'a.png')


def test_unwritable_masks(tmp_path):
    with pytest.raises(ValueError, match=r'ids must be in \[0, 254\]'):
        save_mask(tmp_path / 'a.png', np.full((2, 2), 255))
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(ValueError, match='cannot be written'):
        save_mask(tmp_path / 'file' / 'a.png', np.zeros((2, 2), np.uint8))
    (tmp_path / 'new' / 'a.png').mkdir(parents=True)
    with pytest.raises(ValueError, match='cannot be written'):
        save_mask(tmp_path / 'new' / 'a.png', np.zeros((2, 2), np.uint8))
    assert [each.name for each in (tmp_path / 'new').iterdir()] == ['a.png']


def test_pack_video_reads_the_first_mask_alone(davis):
    info = load(davis).get_data_info(0)
    for path in info['ann_paths'][1:]:
        Path(path).unlink()
    assert PackVideo()(info)['data_samples'].num_objects == 2
