"""Test loop of retrieval: descriptors go to disk and are used again."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import (
    barrier,
    broadcast_object_list,
    get_world_size,
    is_main_process,
)
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner, TestLoop, autocast
from torch.utils.data import DataLoader

from lore_mm.models.retrievers.descriptor_store import (
    DescriptorStore,
    check_dtype,
    descriptor_key,
)
from lore_mm.registry import LOOPS

from .bare_model import bare_model


@LOOPS.register_module()
class RetrievalTestLoop(TestLoop):
    """Describe all images once; score them; keep the descriptors.

    Descriptors lie in ``cache_dir`` under a hash of the model's weights, its
    config, the pipeline, the precision and the list of images (names, sizes
    and times of the files). A test that finds its file reads no image.
    Several processes write one file, which must be on a disk that all see.

    Args:
        runner, dataloader, evaluator, fp16: As in mmengine's ``TestLoop``.
            The data set has ``image_facts()``.
        cache_dir (str, optional): Folder of the descriptors. Defaults to
            None: they stay in memory, as in ``TestLoop``.
        descriptor_dtype (str): ``'float32'``, or ``'float16'`` for half the
            space. Defaults to ``'float32'``.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Evaluator | dict | list,
        fp16: bool = False,
        cache_dir: str | None = None,
        descriptor_dtype: str = 'float32',
    ) -> None:
        check_dtype(descriptor_dtype)
        super().__init__(runner, dataloader, evaluator, fp16)
        self.cache_dir = cache_dir
        self.descriptor_dtype = descriptor_dtype
        self._store: DescriptorStore | None = None

    def run(self) -> dict:
        """Describe the images, unless it was done before, and score them."""
        if self.cache_dir is None:
            return super().run()
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        path = self._path()
        found = [path.is_file()]
        broadcast_object_list(found)  # one answer for all processes
        logger = self.runner.logger
        if found[0]:
            logger.info(f'descriptors are read from {path}')
        else:
            for i, batch in enumerate(self.dataloader):
                self._describe(i, batch, path)
            self._finish()
            logger.info(f'descriptors are written to {path}')
        self.evaluator.process([dict(descriptor_file=str(path))], None)
        # one result for each process: the file
        metrics = self.evaluator.evaluate(get_world_size())
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def _path(self) -> Path:
        """Where the descriptors of this model and these images belong."""
        config = self.runner.cfg
        facts = dict(
            model=_plain(config.get('model')),
            data_preprocessor=_plain(config.get('data_preprocessor')),
            pipeline=_plain(config.test_dataloader.dataset.pipeline),
            fp16=self.fp16,
            dtype=self.descriptor_dtype,
        )
        key = descriptor_key(
            bare_model(self.runner),
            facts,
            self.dataloader.dataset.image_facts(),
        )
        return Path(self.cache_dir, f'{key}.npy')

    @torch.no_grad()
    def _describe(self, idx: int, batch: Mapping, path: Path) -> None:
        """Describe a batch and write it to the file."""
        self.runner.call_hook(
            'before_test_iter', batch_idx=idx, data_batch=batch
        )
        with autocast(enabled=self.fp16):
            outputs = self.runner.model.test_step(batch)
        if self._store is None:
            self._open_store(path, len(outputs[0].descriptor))
        for sample in outputs:
            self._store.write(sample.row, sample.descriptor)
        self.runner.call_hook(
            'after_test_iter', batch_idx=idx, data_batch=batch, outputs=outputs
        )

    def _open_store(self, path: Path, dims: int) -> None:
        """The first process makes the file, the others open it."""
        size = (path, len(self.dataloader.dataset), dims)
        if is_main_process():
            self._store = DescriptorStore(*size, self.descriptor_dtype)
        barrier()
        if self._store is None:
            self._store = DescriptorStore(
                *size, self.descriptor_dtype, create=False
            )

    def _finish(self) -> None:
        """Wait for all processes; the first one names the file."""
        self._store.flush()
        barrier()
        if is_main_process():
            self._store.finish()
        self._store = None
        barrier()


def _plain(value: object) -> object:
    """A part of a config as plain dicts and lists."""
    if isinstance(value, Config):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
