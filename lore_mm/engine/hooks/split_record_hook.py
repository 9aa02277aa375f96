"""Write down which images a run trains, validates and tests on."""

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from mmpretrain.models.heads import RegressionHead

from lore_mm.datasets import split_images, subset_records, write_splits
from lore_mm.datasets.records import write_record
from lore_mm.datasets.splits import check_labels
from lore_mm.registry import HOOKS


@HOOKS.register_module()
class SplitRecordHook(Hook):
    """Write ``splits.json`` to the work folder; stop if splits are wrong.

    They are if they overlap, or if a training label is none of the classes.

    The file names the images of the training, validation and test set, and
    fits :class:`~lore_mm.datasets.ImageFolder` as a ``split_file``. A test
    set that is not on this machine is left out, with a line in the log.
    ``indices.json`` beside it holds the choice of seeded subsets, of data sets
    without file names too.

    Args:
        filename (str): Name of the file. Defaults to ``'splits.json'``.
    """

    INDICES = 'indices.json'

    # First of all: nothing else is worth doing if the splits overlap.
    priority = 'VERY_HIGH'

    def __init__(self, filename: str = 'splits.json') -> None:
        self.filename = filename

    def before_train(self, runner: Runner) -> None:
        """Check the splits; the first process writes the file.

        Raises:
            ValueError: An image is in two splits, or a training label is out
                of range.
        """
        splits = dict(train=runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            splits['val'] = runner.val_dataloader.dataset
        test = self._test_set(runner)
        if test is not None:
            splits['test'] = test
        for name, dataset in list(splits.items()):
            if not hasattr(dataset, 'get_data_info'):
                del splits[name]
                runner.logger.info(
                    f'{self.filename}: {type(dataset).__name__} does not name '
                    f'its images, {name} is left out.'
                )
        self._check_labels(runner, splits.get('train'))
        records = subset_records(**splits)
        if not is_main_process():
            split_images(**splits)
            return
        if records:
            write_record(Path(runner.work_dir, self.INDICES), records)
        path = Path(runner.work_dir, self.filename)
        write_splits(path, **splits)
        sizes = ', '.join(f'{len(d)} {name}' for name, d in splits.items())
        runner.logger.info(f'Images: {sizes}; written to {path}')

    @staticmethod
    def _check_labels(runner: Runner, train: Any) -> None:
        """Labels of training are classes; of a gallery they may be others."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        head = getattr(model, 'head', None)
        classes = getattr(head, 'num_classes', None)
        regresses = isinstance(head, RegressionHead)
        if train is not None and classes is not None and not regresses:
            check_labels(train, classes, 'train')

    def _test_set(self, runner: Runner) -> Any:
        """The test set, built for this alone; None if there is none here."""
        loader = runner._test_dataloader
        if loader is None:
            return None
        if not isinstance(loader, dict):
            return loader.dataset
        dataset = loader['dataset']
        if not isinstance(dataset, dict):
            return dataset
        try:
            return DATASETS.build(dataset)
        except FileNotFoundError as error:
            runner.logger.info(
                f'{self.filename}: the test set is left out, as it is not '
                f'here: {error}'
            )
            return None
