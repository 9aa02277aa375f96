"""Follow the objects of a first mask through any video."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.utils import ProgressBar

from lore_mm.datasets.davis_masks import VOID, load_mask, save_mask
from lore_mm.datasets.video_frames import FrameFiles, VideoFile
from lore_mm.models.segmentors import LabelPropagator, MaskSequence
from lore_mm.visualization.mask_overlay import OverlayWriter, overlay_mask

from .model import (
    build_model,
    model_device,
    read_sources,
    without_white_box,
)
from .model_kind import check_kind

Progress = Callable[[int, int | None], Any]
_FPS = 24.0  # of a folder of frames


class VideoSegmentationInferencer:
    """Segment videos from the mask of their first frame.

    Args:
        config (str | Path | Config): A config of ``configs/vos`` by path or
            name, or one that is loaded already.
        checkpoint (str | Path, optional): Of a classifier or any other model
            with the same backbone. None is the bare Black Box, whatever
            White Box the config names. Defaults to None.
        device (str, optional): Defaults to None: a GPU where there is one.
        cfg_options (dict, optional): Override keys of the config, such as
            ``{'data_preprocessor.short_side': 240}``.
        amp (bool): Run the ViT in mixed precision: about twice as fast.
            Defaults to False.

    Raises:
        FileNotFoundError: There is no such config.
        CheckpointError: The checkpoint cannot be read or does not fit.
        ValueError: The model of the config is no ``LabelPropagator``.

    Examples:
        >>> inferencer = VideoSegmentationInferencer('vos/vit-s_davis2017')
        >>> masks = inferencer('clip.mp4', 'first.png', overlay='out.mp4')
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: dict | None = None,
        amp: bool = False,
    ) -> None:
        cfg, loaded = read_sources(config, checkpoint, cfg_options)
        if loaded is None:
            without_white_box(cfg)
        self.model: LabelPropagator = build_model(cfg, loaded, device)
        check_kind(self.model, LabelPropagator, 'vos')
        self.device, self.amp = model_device(self.model), amp

    def __call__(
        self,
        video: str | Path | Iterable[np.ndarray],
        first_mask: str | Path | np.ndarray,
        out_dir: str | Path | None = None,
        overlay: str | Path | None = None,
        fps: float | None = None,
        alpha: float = 0.5,
        progress: bool | Progress = False,
    ) -> MaskSequence:
        """Segment a video.

        Frames are read one by one; masks are kept compressed.

        Args:
            video: A video file, a folder of frames, or RGB frames (H, W, 3)
                of type uint8.
            first_mask: A palette or gray PNG, or ids (H, W); 0 is background,
                255 void, or the object where it stands alone.
            out_dir (optional): Folder of the masks, as palette PNG files
                named as the frames, or ``00000.png`` and so on.
            overlay (optional): Where to write the video with its masks laid
                over: ``.mp4`` or ``.gif``.
            fps (float, optional): Of the overlay. Defaults to None: the
                video's own, or 24 for frames.
            alpha (float): How strongly objects are tinted. Defaults to 0.5.
            progress (bool | Callable): True for a bar, or a function that is
                called with the number of frames done and that of all (None
                where unknown). Defaults to False.

        Returns:
            MaskSequence: Ids (H, W), one for each frame.

        Raises:
            FileNotFoundError: The video or the mask does not exist.
            ValueError: The mask holds no object or has another size than the
                frames, a frame is not uint8, the video has a single frame, or
                an output cannot be written.
        """
        frames, names, own_fps = _open(video)
        total = len(frames) if hasattr(frames, '__len__') else None
        name = str(video) if isinstance(video, str | Path) else 'video'
        first_mask = _read_first(first_mask)
        if not first_mask.any():
            raise ValueError('the first mask holds no object to follow.')
        masks = MaskSequence()
        seen: list[np.ndarray] = []
        report = _report(progress, total)
        with ExitStack() as stack:
            writer = None
            if overlay is not None:
                writer = OverlayWriter(overlay, fps or own_fps or _FPS)
                stack.enter_context(writer)
            stack.enter_context(
                torch.autocast(
                    self.device.type, torch.bfloat16, enabled=self.amp
                )
            )
            kept = _keep_last(frames, seen)
            for mask in self.model.propagate(kept, first_mask, name):
                if out_dir is not None:
                    stem = names[len(masks)] if names else f'{len(masks):05d}'
                    save_mask(Path(out_dir, f'{stem}.png'), mask)
                if writer is not None:
                    writer.append(overlay_mask(seen[0], mask, alpha))
                masks.append(mask)
                report(len(masks), total)
            if len(masks) < 2:
                raise ValueError(
                    f"'{name}' must have at least 2 frames, got "
                    f'{len(masks)}: there is nothing to follow.'
                )
        return masks


def _open(
    video: str | Path | Iterable[np.ndarray],
) -> tuple[Iterable[np.ndarray], list[str] | None, float | None]:
    """Frames, their names and frames per second, where known."""
    if not isinstance(video, str | Path):
        return video, None, None
    if Path(video).is_dir():
        frames = FrameFiles.from_folder(video)
        return frames, [Path(path).stem for path in frames.paths], None
    file = VideoFile(video)
    return file, None, file.fps


def _read_first(mask: str | Path | np.ndarray) -> np.ndarray:
    """Ids of the first mask (H, W), void as background."""
    if isinstance(mask, str | Path):
        mask = load_mask(mask, void_id=VOID)
    mask = np.array(mask)
    void = mask == VOID
    # Programs that know one object write it as 255.
    mask[void] = 0 if mask[~void].any() else 1
    return mask


def _keep_last(
    frames: Iterable[np.ndarray], seen: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Hand frames on, leaving the last one in ``seen``."""
    for frame in frames:
        seen[:] = [frame]
        yield frame


def _report(progress: bool | Progress, total: int | None) -> Progress:
    if callable(progress):
        return progress
    if not progress:
        return lambda done, total: None
    bar = ProgressBar(total or 0)
    return lambda done, total: bar.update()
