"""What inferencers take as images: files, folders, pixels, PIL images."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from lore_mm.datasets.loading import (
    FAULTS,
    IMAGE_SUFFIXES,
    LoadRGBImage,
    find_images,
    to_rgb,
)
from lore_mm.engine.config_keys import ConfigError
from lore_mm.utils import check_rgb

from .model import default_scope

Images = str | Path | Sequence[str | Path]
ImageInput = str | Path | np.ndarray | Image.Image
ImageInputs = ImageInput | Sequence[ImageInput]


def list_images(images: Images) -> list[str]:
    """Image files of a folder and its sub-folders, or the files given.

    Hidden files of a folder, such as ``._a.jpg`` of macOS, are left out.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: There is no image.
    """
    if not isinstance(images, str | Path):
        paths = [str(path) for path in images]
    elif Path(images).is_dir():
        paths = [str(path) for path in find_images(images)]
    elif Path(images).is_file():
        paths = [str(images)]
    else:
        raise FileNotFoundError(f"'{images}' does not exist.")
    if not paths:
        raise ValueError(
            f'there is no image in {images!r}; looked for '
            f'{", ".join(IMAGE_SUFFIXES)}.'
        )
    return paths


def list_inputs(inputs: ImageInputs) -> list[ImageInput]:
    """The single images of an input; folders are searched.

    Args:
        inputs (ImageInputs): A file, a folder, pixels, a PIL image, or a
            sequence of those.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: There is no image.
    """
    if isinstance(inputs, str | Path):
        return list_images(inputs)
    if isinstance(inputs, np.ndarray | Image.Image):
        return [inputs]
    if not isinstance(inputs, Sequence):
        raise ValueError(_unknown(inputs))
    found = [image for each in inputs for image in list_inputs(each)]
    if not found:
        raise ValueError('there is no image: the list is empty.')
    return found


def image_path(image: ImageInput) -> str | None:
    """The file of an image; None for one that is only in memory."""
    if isinstance(image, str | Path):
        return str(image)
    return str(getattr(image, 'filename', '')) or None


def read_rgb(
    image: ImageInput, name: str = 'the image', min_side: int | None = None
) -> np.ndarray:
    """RGB pixels (H, W, 3), uint8, as :class:`LoadRGBImage` makes them.

    Args:
        image (ImageInput): A file, a PIL image of any mode, or pixels: RGB
            (H, W, 3) or RGBA (H, W, 4) of type uint8, or gray (H, W) of type
            uint8 or uint16.
        name (str): What to call pixels in a message.
        min_side (int, optional): Of a file; see :class:`LoadRGBImage`.
            Defaults to None, the whole photo.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or is no image. Both name it.
    """
    if isinstance(image, str | Path):
        load = LoadRGBImage(min_side=min_side)
        return load(dict(img_path=str(image)))['img']
    if isinstance(image, np.ndarray):
        if not _is_gray_or_rgba(image):
            check_rgb(image, name)
            return image
        image = Image.fromarray(image)
    if not isinstance(image, Image.Image):
        raise ValueError(f'{name}: {_unknown(image)}')
    try:
        return to_rgb(image)
    except FAULTS as error:
        name = image_path(image) or name
        raise ValueError(f"image '{name}' cannot be read: {error}.") from error


def read_thumbnails(
    paths: Sequence[str | Path], side: int
) -> dict[str | Path, np.ndarray]:
    """Small RGB pictures (h, w, 3), uint8, of image files.

    Args:
        paths (Sequence[str | Path]): The files. One that cannot be read is
            left out with a warning.
        side (int): Longest side in pixels.
    """
    found = {}
    for path in paths:
        try:
            picture = Image.fromarray(read_rgb(path))
        except (ValueError, OSError) as error:
            warnings.warn(f'{error} It is left out.', stacklevel=2)
            continue
        picture.thumbnail((side, side))
        found[path] = np.asarray(picture)
    return found


def _is_gray_or_rgba(pixels: np.ndarray) -> bool:
    """Whether pixels are an image of another kind, to be made RGB."""
    kind, shape = pixels.dtype, pixels.shape
    rgba = shape[2:] == (4,) and kind == np.uint8
    gray = len(shape) == 2 and kind in (np.uint8, np.uint16)
    return (rgba or gray) and 0 not in shape


def _unknown(value: object) -> str:
    return (
        'an image must be a path, a folder, an array (H, W, 3) or a PIL '
        f'image, got {type(value).__name__}.'
    )


class PixelPipeline:
    """The test pipeline of a config, on pixels that were read already.

    Args:
        cfg (Config): Its ``test_dataloader`` has the pipeline.

    Attributes:
        min_side (int | None): That of the loader, which a file has to be read
            with to be the image that is tested.

    Raises:
        ConfigError: There is none, or it does not begin with the loader
            whose RGB order pixels are given in.
    """

    def __init__(self, cfg: Config) -> None:
        with default_scope(cfg):
            steps = Compose(_test_pipeline(cfg)).transforms
        if not steps or not isinstance(steps[0], LoadRGBImage):
            raise ConfigError(
                'the pipeline of test_dataloader.dataset must begin with '
                "dict(type='lore_mm.LoadRGBImage')."
            )
        self.min_side = steps[0].min_side
        self.steps = Compose(steps[1:])

    def __call__(self, pixels: np.ndarray, path: str | None = None) -> dict:
        """What ``PackInputs`` gives for RGB pixels (H, W, 3)."""
        shape = pixels.shape[:2]
        results = dict(img=pixels, img_shape=shape, ori_shape=shape)
        if path is not None:
            results['img_path'] = path
        return self.steps(results)


def _test_pipeline(cfg: Config) -> list[dict]:
    dataset = (cfg.get('test_dataloader') or {}).get('dataset')
    while isinstance(dataset, Mapping):
        if 'pipeline' in dataset:
            return dataset['pipeline']
        dataset = dataset.get('dataset')  # a wrapper
    raise ConfigError(
        'the config has no test_dataloader.dataset.pipeline, which says how '
        'images are prepared.'
    )


class _InputImages(Dataset):
    """Images that are read when they are needed."""

    def __init__(
        self, images: Sequence[ImageInput], pipeline: PixelPipeline
    ) -> None:
        self.images = images
        self.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict:
        image = self.images[index]
        pixels = read_rgb(image, f'image {index}', self.pipeline.min_side)
        return self.pipeline(pixels, image_path(image))


def image_batches(
    images: Sequence[ImageInput],
    pipeline: PixelPipeline,
    batch_size: int = 16,
    num_workers: int = 0,
) -> Iterator[dict]:
    """Batches for ``model.test_step``, in order; one size of image in each.

    Args:
        images (Sequence[ImageInput]): Of :func:`list_inputs`.
        pipeline (PixelPipeline): Prepares each.
        batch_size (int): Images per batch. Defaults to 16.
        num_workers (int): Processes that load images. Defaults to 0.

    Raises:
        ValueError: ``batch_size`` is below 1, or an image cannot be read.
        FileNotFoundError: An image does not exist.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}.')
    loader = DataLoader(
        _InputImages(images, pipeline),
        batch_size,
        num_workers=num_workers,
        collate_fn=list,
    )
    for batch in loader:
        for _, same in groupby(batch, lambda each: each['inputs'].shape):
            yield pseudo_collate(list(same))
