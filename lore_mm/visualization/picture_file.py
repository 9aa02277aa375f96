"""Picture files: written whole or not at all."""

from pathlib import Path

from PIL import Image

from lore_mm.engine.files import replace_when_done
from lore_mm.utils.outputs import check_folder


def picture_format(path: str | Path) -> str:
    """Pillow's name of the format that a file is to have.

    Raises:
        ValueError: Pillow writes no such file.
    """
    suffix = Path(path).suffix.lower()
    kind = Image.registered_extensions().get(suffix)
    if kind not in Image.SAVE:
        raise ValueError(
            f"picture '{path}' must end in .png, .jpg or another format that "
            f'Pillow writes, got {suffix!r}.'
        )
    return kind


def save_picture(path: str | Path, picture: Image.Image) -> None:
    """Write a picture; its folder is made.

    Raises:
        ValueError: Pillow writes no such file, or the folder cannot be
            written.
    """
    kind = picture_format(path)
    check_folder(
        Path(path).parent, 'folder of the picture', 'choose another file'
    )
    with replace_when_done(path) as temp:
        picture.save(temp, format=kind)
