"""DAVIS: one sample per video, whose frames are read one at a time."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from lore_mm.registry import DATASETS, TRANSFORMS

from .davis_masks import load_mask
from .loading import IMAGE_SUFFIXES
from .video_frames import FrameFiles

# What 255 in a mask stands for, by the year of the annotation: the one
# object (2016), or void, which counts as background (2017).
VOID_IDS = {2016: 1, 2017: 0}
_ANNOTATIONS = ('all', 'first')
_META_KEYS = ('sequence', 'img_paths', 'ann_paths', 'void_id', 'num_objects')


@DATASETS.register_module()
class DAVISDataset(BaseDataset):
    """DAVIS, or your own videos in its folders; one sample is one video.

    ::

        data_root/JPEGImages/480p/<sequence>/00000.jpg ...
        data_root/Annotations/480p/<sequence>/00000.png ...
        data_root/ImageSets/2017/val.txt          names of sequences

    Args:
        data_root (str): The folder of DAVIS.
        year (int): 2016: masks are 0 / 255 with one object. 2017: masks hold
            ids, 255 is void. Defaults to 2017.
        split (str): The list ``ImageSets/<year>/<split>.txt``. Defaults to
            ``'val'``.
        resolution (str): Folder below ``JPEGImages``. Defaults to ``'480p'``.
        ann_dir (str, optional): Folder below ``Annotations``. Defaults to
            None: as ``resolution``.
        sequences (Sequence[str], optional): Only these. Defaults to None.
        annotations (str): ``'all'``: every frame has a mask. ``'first'``:
            only the first one has, as in the test splits; nothing can be
            scored. Defaults to ``'all'``.
        **kwargs: As in mmengine's ``BaseDataset``; ``pipeline`` should be
            ``[dict(type='lore_mm.PackVideo')]``.

    Raises:
        FileNotFoundError: A folder, a list or a file is missing.
        ValueError: A frame is missing in a row of numbers or beside its mask,
            a video has fewer than two frames, or an argument is wrong.
    """

    def __init__(
        self,
        data_root: str,
        year: int = 2017,
        split: str = 'val',
        resolution: str = '480p',
        ann_dir: str | None = None,
        sequences: Sequence[str] | None = None,
        annotations: str = 'all',
        **kwargs,
    ) -> None:
        if year not in VOID_IDS:
            raise ValueError(
                f'year must be one of {tuple(VOID_IDS)}, got {year!r}.'
            )
        if annotations not in _ANNOTATIONS:
            raise ValueError(
                f'annotations must be one of {_ANNOTATIONS}, got '
                f'{annotations!r}.'
            )
        self.void_id = VOID_IDS[year]
        self.list_file = Path(
            data_root, 'ImageSets', str(year), f'{split}.txt'
        )
        self.img_root = Path(data_root, 'JPEGImages', resolution)
        self.ann_root = Path(data_root, 'Annotations', ann_dir or resolution)
        self.sequences = sequences
        self.annotations = annotations
        super().__init__(data_root=data_root, **kwargs)
        self._metainfo['annotations'] = annotations

    def load_data_list(self) -> list[dict]:
        """One record per sequence: ``sequence``, ``img_paths``,
        ``ann_paths``, ``void_id``."""
        if not self.img_root.is_dir():
            raise FileNotFoundError(
                f"DAVIS folder '{self.img_root}' does not exist; set "
                'data_root (in the shipped configs: DAVIS_ROOT).'
            )
        names = self._names()
        if self.sequences is not None:
            unknown = [each for each in self.sequences if each not in names]
            if unknown:
                raise ValueError(
                    f"sequences {unknown} are not in '{self.list_file}', "
                    f'which has {names}.'
                )
            names = list(self.sequences)
        return [self._record(name) for name in names]

    def _names(self) -> list[str]:
        """Sequences of the list; a line may also be a path of a frame."""
        if not self.list_file.is_file():
            raise FileNotFoundError(
                f"the list of sequences '{self.list_file}' does not exist."
            )
        lines = [line.split() for line in self.list_file.open()]
        paths = [Path(line[0]) for line in lines if line]
        names = [
            path.parent.name
            if path.suffix.lower() in IMAGE_SUFFIXES  # of a frame
            else path.name
            for path in paths
        ]
        if not names:
            raise ValueError(f"'{self.list_file}' names no sequence.")
        return list(dict.fromkeys(names))

    def _record(self, name: str) -> dict:
        folder = self.img_root / name
        if not folder.is_dir():
            raise FileNotFoundError(
                f"sequence '{name}' has no folder '{folder}'."
            )
        frames = FrameFiles.from_folder(folder).paths
        if len(frames) < 2:
            raise ValueError(
                f"sequence '{name}' has {len(frames)} frame; at least 2 are "
                'needed, the first to start from.'
            )
        stems = [Path(frame).stem for frame in frames]
        _check_no_gap(name, stems)
        wanted = stems if self.annotations == 'all' else stems[:1]
        masks = [self.ann_root / name / f'{stem}.png' for stem in wanted]
        missing = [mask for mask in masks if not mask.is_file()]
        if missing:
            raise FileNotFoundError(
                f"sequence '{name}' lacks the mask '{missing[0]}'"
                + (f' and {len(missing) - 1} more' if missing[1:] else '')
                + "; set annotations='first' if only first frames have one."
            )
        if self.annotations == 'all':
            _check_no_frame_lost(name, self.ann_root / name, stems)
        return dict(
            sequence=name,
            img_paths=frames,
            ann_paths=[str(mask) for mask in masks],
            void_id=self.void_id,
        )


def _check_no_gap(name: str, stems: list[str]) -> None:
    """Raise where a number is left out between the first and the last."""
    if not all(stem.isdecimal() for stem in stems):
        return
    for before, after in zip(stems, stems[1:], strict=False):
        if int(after) != int(before) + 1:
            lacking = str(int(before) + 1).zfill(len(before))
            raise ValueError(
                f"sequence '{name}' lacks frame {lacking}: after {before} "
                f'comes {after}.'
            )


def _check_no_frame_lost(name: str, folder: Path, stems: list[str]) -> None:
    """Raise where a mask has no frame: the first or the last may lack."""
    lost = {path.stem for path in folder.glob('[!.]*.png')} - set(stems)
    if lost:
        raise ValueError(
            f"sequence '{name}' lacks frame {min(lost)}: "
            f"'{folder / min(lost)}.png' is a mask without it."
        )


@TRANSFORMS.register_module()
class PackVideo(BaseTransform):
    """Make the sample of a video that a segmentor takes.

    Required Keys: ``sequence``, ``img_paths``, ``ann_paths``, ``void_id``.

    Returns ``inputs``, the :class:`FrameFiles`, and ``data_samples``, a
    ``SegDataSample`` whose ``gt_sem_seg`` is the first frame's mask (1, H, W)
    and whose meta information holds the keys above and ``num_objects``.

    Raises:
        ValueError: The first mask holds no object.
    """

    def transform(self, results: dict) -> dict:
        """Read the first mask; frames are read later."""
        path = results['ann_paths'][0]
        mask = load_mask(path, results['void_id'])
        if not mask.any():
            raise ValueError(
                f"the first mask '{path}' holds no object (255 is void unless "
                'year=2016): there is nothing to follow.'
            )
        sample = SegDataSample(
            gt_sem_seg=PixelData(data=torch.from_numpy(mask)[None])
        )
        facts = {**results, 'num_objects': int(mask.max())}
        sample.set_metainfo({key: facts[key] for key in _META_KEYS})
        return dict(
            inputs=FrameFiles(results['img_paths']), data_samples=sample
        )
