"""Images of pairs, read when they are needed and once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image
from torch import Tensor

_ORIENTATION = 0x0112  # the EXIF tag
_TURNED = (5, 6, 7, 8)  # width and height change places

# Rounding of sizes that a pipeline may do, in pixels.
_ROUNDING = 1.0


class LoadedImage(NamedTuple):
    """An image as the network takes it.

    Attributes:
        inputs (Tensor): (3, H, W), before normalisation.
        size (tuple[int, int]): Width and height of the original.
        scale (tuple[float, float]): Pixels of the input per pixel of the
            original, in x and in y.
    """

    inputs: Tensor
    size: tuple[int, int]
    scale: tuple[float, float]


@dataclass(frozen=True)
class ImageRef:
    """An image that is read and prepared when it is needed.

    A pair carries its images in this form: most of them have been seen in an
    earlier pair, and are not read again.

    Attributes:
        path (str): The file.
        pipeline (Callable): Ends in ``PackInputs``. It may resize the image,
            with or without its proportions, and pad it to the right or below,
            but not crop it.
        size (tuple[int, int], optional): Width and height that annotations
            give, to be checked.
        annotation (str, optional): Where they say so, for the message.
    """

    path: str
    pipeline: Callable[[dict], dict]
    size: tuple[int, int] | None = None
    annotation: str | None = None

    @property
    def key(self) -> str:
        """What tells images apart."""
        return self.path

    def load(self) -> LoadedImage:
        """Read and prepare the image.

        Raises:
            ValueError: The image does not have the annotated size, or the
                pipeline does not do what matching needs.
        """
        packed = self.pipeline(dict(img_path=self.path))
        if not isinstance(packed, dict) or 'inputs' not in packed:
            raise ValueError(
                'the pipeline of a set of pairs must end in PackInputs.'
            )
        inputs, info = packed['inputs'], packed['data_samples'].metainfo
        height, width = info['ori_shape'][:2]
        if self.size is not None and tuple(self.size) != (width, height):
            raise ValueError(
                f"image '{self.path}' has {width} x {height} pixels, but "
                f"{self.size[0]} x {self.size[1]} in '{self.annotation}'."
            )
        shown = (inputs.shape[-1], inputs.shape[-2])
        scale = info.get('scale_factor')
        if scale is None:
            scale = (shown[0] / width, shown[1] / height)
        for length, factor, have in zip(
            (width, height), scale, shown, strict=True
        ):
            if length * factor > have + _ROUNDING:
                raise ValueError(
                    f'the pipeline cuts images off ({width} x {height}, '
                    f'scaled by {scale}, does not fit in {shown[0]} x '
                    f'{shown[1]}); for matching, resize and do not crop.'
                )
        return LoadedImage(
            inputs, (width, height), (float(scale[0]), float(scale[1]))
        )


def image_size(path: str, where: str) -> tuple[int, int]:
    """Width and height of an image as it is shown, from its header.

    Args:
        path (str): The image.
        where (str): File that names the image, for messages.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no image.
    """
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            return image.size[::-1] if turned else image.size
    except FileNotFoundError as error:
        raise missing_image(path, where) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"image '{path}' cannot be read: {error}.") from error


def missing_image(path: str, where: str) -> FileNotFoundError:
    """The error for an image that a pair names and that is not there."""
    return FileNotFoundError(
        f"image '{path}' does not exist; it is named in '{where}'."
    )
