"""Retrieval without a runner: index a folder, ask with images."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from lore_mm.datasets import RetrievalImages
from lore_mm.models.retrievers import (
    DescriptorStore,
    ImageRetriever,
    check_descriptors,
    descriptor_key,
    open_descriptors,
    search,
)
from lore_mm.visualization.contact_sheet import Tile, save_contact_sheet
from lore_mm.visualization.picture_file import picture_format

from .images import Images, list_images
from .model import (
    build_model,
    default_scope,
    read_sources,
    without_white_box,
)
from .model_kind import check_kind

Truth = Callable[[str, str], bool | None]


class RetrievalInferencer:
    """Find images that look like a query.

    Args:
        config (str | Path | Config): A config of ``configs/retrieval/``: its
            name, its path, or the config itself.
        checkpoint (str | Path, optional): Of a trained classifier with the
            same backbone. Defaults to None: the bare Black Box; the config's
            White Box is left out.
        device (str, optional): Defaults to None: a GPU where there is one.
            Descriptors are kept in main memory.
        cache_dir (str | Path, optional): Keep descriptors of an index here,
            and use them again while weights, config and images are the same.
            Defaults to None.
        batch_size (int): Defaults to 16.
        num_workers (int): Processes that load images. Defaults to 0.

    Raises:
        FileNotFoundError: There is no such config.
        CheckpointError: The checkpoint cannot be read or does not fit.
        ValueError: The model of the config is no ``ImageRetriever``.

    Examples:
        >>> find = RetrievalInferencer('retrieval/vit-s_scenes')
        >>> find.index('photos/')
        >>> rows = find('query.jpg', topk=5, contact_sheet='sheet.png')
        >>> rows[0][0].path, rows[0][0].score
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        cache_dir: str | Path | None = None,
        batch_size: int = 16,
        num_workers: int = 0,
    ) -> None:
        self.cfg, loaded = read_sources(config, checkpoint)
        if loaded is None:
            without_white_box(self.cfg)
        self.model = build_model(self.cfg, loaded, device)
        check_kind(self.model, ImageRetriever, 'retrieval')
        dataset = self.cfg.test_dataloader.dataset
        self.pipeline, self.long_side = dataset.pipeline, dataset.long_side
        kept = ('model', 'data_preprocessor')
        facts = self.cfg.to_dict()
        self.facts = {key: facts.get(key) for key in kept}
        self.facts['pipeline'] = self.pipeline
        self.cache_dir = cache_dir
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.images: list[str] = []
        self.descriptors: np.ndarray | None = None

    def index(self, images: Images) -> 'RetrievalInferencer':
        """Describe the images to search in; replaces those of before.

        Args:
            images (str | Path | Sequence[str | Path]): A folder, which is
                searched with its sub-folders, or files.

        Raises:
            FileNotFoundError: The folder or an image does not exist.
            ValueError: There is no image.
        """
        paths = list_images(images)
        self.descriptors = self.describe(paths, self.cache_dir)
        self.images = paths
        return self

    def __call__(
        self,
        queries: Images,
        topk: int = 10,
        truth: Truth | None = None,
        contact_sheet: str | Path | None = None,
        backend: str = 'exact',
    ) -> list[list[Tile]]:
        """Find the images most like each query.

        Args:
            queries (str | Path | Sequence[str | Path]): A file, a folder or
                files.
            topk (int): How many to find. Defaults to 10.
            truth (Callable, optional): Whether an image answers a query, by
                their paths; :func:`~lore_mm.datasets.relevance` makes one of
                a ground truth. Defaults to None.
            contact_sheet (str | Path, optional): Write a picture there,
                ``.png`` or ``.jpg``.
            backend (str): See :func:`~lore_mm.models.retrievers.search`.

        Returns:
            list[list[Tile]]: For each query path, score and, with ``truth``,
            relevance of what was found, best first.

        Raises:
            RuntimeError: There is no index yet.
            ValueError: There is no query, or the picture cannot be written.
        """
        if self.descriptors is None:
            raise RuntimeError('there is no index: call index(images) first.')
        if contact_sheet is not None:
            picture_format(contact_sheet)  # told before the work
        queries = list_images(queries)
        scores, indices = search(
            self.describe(queries), self.descriptors, topk, backend
        )
        found = [
            [
                Tile(path, float(score), truth(query, path) if truth else None)
                for score, path in zip(
                    row, [self.images[i] for i in places], strict=True
                )
            ]
            for query, row, places in zip(
                queries, scores, indices, strict=True
            )
        ]
        if contact_sheet is not None:
            save_contact_sheet(contact_sheet, queries, found)
        return found

    def describe(
        self, paths: Sequence[str], cache_dir: str | Path | None = None
    ) -> np.ndarray:
        """Descriptors (n, D) of image files, float32."""
        with default_scope(self.cfg):
            dataset = RetrievalImages(
                paths, self.long_side, pipeline=self.pipeline
            )
        if cache_dir is None:
            rows = self._run(dataset)
            found = np.stack([rows[i] for i in range(len(paths))])
            check_descriptors(found)
            return found
        key = descriptor_key(self.model, self.facts, dataset.image_facts())
        file = Path(cache_dir, f'{key}.npy')
        if not file.is_file():
            self._run(dataset, file)
        return open_descriptors(file)

    @torch.inference_mode()
    def _run(
        self, dataset: RetrievalImages, file: Path | None = None
    ) -> dict[int, np.ndarray]:
        """Describe all images: into a file, or returned by row."""
        loader = DataLoader(
            dataset,
            self.batch_size,
            num_workers=self.num_workers,
            collate_fn=pseudo_collate,
        )
        found, store = {}, None
        for batch in loader:
            for sample in self.model.test_step(batch):
                if file is None:
                    found[sample.row] = sample.descriptor.cpu().numpy()
                    continue
                if store is None:
                    dims = len(sample.descriptor)
                    store = DescriptorStore(file, len(dataset), dims)
                store.write(sample.row, sample.descriptor)
        if store is not None:
            store.finish()
        return found
