"""Retrieval sets with the ground truth of revisited Oxford and Paris."""

from pathlib import Path

from mmengine.logging import MMLogger

from lore_mm.registry import DATASETS

from .revisited_ground_truth import LISTS, read_ground_truth
from .revisited_images import RetrievalImages

# What the two conventions say about queries and the database's long side.
CONVENTIONS = {
    'revisitop': dict(query_crop=True, long_side=1024),
    'dino': dict(query_crop=False, long_side=None),
}


@DATASETS.register_module()
class RevisitedRetrieval(RetrievalImages):
    """ROxford5k, RParis6k, or any folder with the same kind of ground truth.

    Samples are the queries and the database together; ``row`` counts the
    queries first. ``metainfo`` has ``gnd``, ``num_queries`` and
    ``num_images`` (of the database, distractors included).

    Two conventions for images are in use, and a config names its own:

    - ``revisitop``: queries are cropped to their boxes, the database has a
      long side of 1024 pixels, and a cropped query keeps that scale.
    - ``dino``: no query is cropped; ``long_side`` must be given. The paper
      takes 224 for ROxford5k, and 512 with three scales for RParis6k.

    Args:
        data_root (str): The folder.
        ann_file (str): Ground truth below it; see
            :func:`~lore_mm.datasets.read_ground_truth`.
        img_dir (str): Folder of the images below ``data_root``. Defaults to
            ``'jpg'``.
        img_suffix (str): What to add to a name of the ground truth. Defaults
            to ``'.jpg'``.
        convention (str): ``'revisitop'`` or ``'dino'``. Defaults to
            ``'dino'``, as in the paper.
        long_side (int, optional): Long side of the images, in pixels.
            Defaults to None: what the convention says.
        query_crop (bool, optional): Whether to crop queries. Defaults to
            None: what the convention says.
        distractors (str, optional): Text file below ``data_root`` with one
            image a line, extension included: more images of the database
            that answer no query, such as the 1M set. Defaults to None.
        distractor_dir (str, optional): Folder of those, below ``data_root``.
            Defaults to None: ``img_dir``.
        **kwargs: ``group_by_size``, ``pipeline``, ... of
            :class:`RetrievalImages`.

    Raises:
        FileNotFoundError: The folder, ground truth or an image is missing.
        ValueError: The ground truth is wrong, the convention unknown or
            incomplete, or a query that is to be cropped has no box.
    """

    def __init__(
        self,
        data_root: str,
        ann_file: str,
        img_dir: str = 'jpg',
        img_suffix: str = '.jpg',
        convention: str = 'dino',
        long_side: int | None = None,
        query_crop: bool | None = None,
        distractors: str | None = None,
        distractor_dir: str | None = None,
        **kwargs,
    ) -> None:
        if convention not in CONVENTIONS:
            raise ValueError(
                f'convention must be one of {tuple(CONVENTIONS)}, got '
                f'{convention!r}.'
            )
        chosen = CONVENTIONS[convention]
        if long_side is None:
            long_side = chosen['long_side']
        if long_side is None:
            raise ValueError(
                f'convention {convention!r} needs long_side, in pixels.'
            )
        if query_crop is None:
            query_crop = chosen['query_crop']
        self.query_crop = query_crop
        self.img_dir = img_dir
        self.img_suffix = img_suffix
        self.distractors = distractors
        self.distractor_dir = (
            img_dir if distractor_dir is None else (distractor_dir)
        )
        super().__init__(
            data_root=data_root,
            ann_file=ann_file,
            long_side=long_side,
            **kwargs,
        )

    def samples(self) -> list[dict]:
        """Queries, database, distractors; also fills ``metainfo``."""
        root = Path(self.data_root)
        if not root.is_dir():
            raise FileNotFoundError(f"data_root '{root}' does not exist.")
        try:
            truth = read_ground_truth(self.ann_file)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{error} Name the file, below data_root, by '
                f'test_dataloader.dataset.ann_file.'
            ) from error
        queries, images = truth['qimlist'], truth['imlist']
        samples = [
            dict(img_path=self._path(name), crop=self._box(name, entry))
            for name, entry in zip(queries, truth['gnd'], strict=True)
        ]
        samples += [dict(img_path=self._path(n), crop=None) for n in images]
        samples += [
            dict(img_path=str(root / self.distractor_dir / name), crop=None)
            for name in self._read_distractors()
        ]
        self._metainfo.update(
            gnd=[{key: list(e[key]) for key in LISTS} for e in truth['gnd']],
            num_queries=len(queries),
            num_images=len(samples) - len(queries),
        )
        self._report(truth['gnd'])
        return samples

    def _path(self, name: str) -> str:
        return str(
            Path(self.data_root, self.img_dir, f'{name}{self.img_suffix}')
        )

    def _box(self, name: str, entry: dict) -> tuple | None:
        if not self.query_crop:
            return None
        if entry.get('bbx') is None:
            raise ValueError(
                f'query {name!r} has no "bbx" to crop to; set '
                f'query_crop=False.'
            )
        return tuple(entry['bbx'])

    def _read_distractors(self) -> list[str]:
        if self.distractors is None:
            return []
        lines = Path(self.data_root, self.distractors).read_text()
        return [line.strip() for line in lines.splitlines() if line.strip()]

    def _report(self, gnd: list[dict]) -> None:
        """Say how many queries each protocol leaves out."""
        out = {
            'easy': sum(not e['easy'] for e in gnd),
            'medium': sum(not (e['easy'] or e['hard']) for e in gnd),
            'hard': sum(not e['hard'] for e in gnd),
        }
        if any(out.values()):
            counts = ', '.join(f'{n} in {k}' for k, n in out.items() if n)
            MMLogger.get_current_instance().info(
                f'{self.ann_file}: queries without positives are left out: '
                f'{counts} (of {len(gnd)}).'
            )
