"""Write down which images a run trains, validates and tests on."""

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from mmpretrain.evaluation import (
    Accuracy,
    ConfusionMatrix,
    SingleLabelMetric,
)
from mmpretrain.models.heads import RegressionHead
from mmpretrain.models.retrievers import BaseRetriever

from lore_mm.datasets import split_images, subset_records
from lore_mm.datasets.records import write_record
from lore_mm.datasets.splits import check_labels, check_same_classes
from lore_mm.engine.bare_model import bare_model
from lore_mm.registry import HOOKS

# These compare predictions with labels, so a label that is no class counts as
# an error in silence. Metrics of retrieval compare labels among each other.
_OF_CLASSES = (Accuracy, ConfusionMatrix, SingleLabelMetric)


@HOOKS.register_module()
class SplitRecordHook(Hook):
    """Write ``splits.json`` to the work folder; stop if splits are wrong.

    They are if they overlap, or if a label is none of the classes: in
    training, and in validation and test where the metric scores classes
    (accuracy, precision, recall). There the classes must be those of the
    training too. The labels and classes of a gallery may be others.
    A test checks its labels as well.

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
        self._found: dict[str, dict] = {}

    def before_train(self, runner: Runner) -> None:
        """Check the splits.

        Raises:
            ValueError: An image is in two splits, a label is out of range,
                or a split has other classes than the training.
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
        evaluators = dict(
            val=getattr(runner.val_loop, 'evaluator', None),
            test=runner._test_evaluator,
        )
        for name, dataset in splits.items():
            scored = self._check_labels(
                runner, name, dataset, evaluators.get(name)
            )
            if scored and 'train' in splits:
                check_same_classes(splits['train'], dataset, name)
        self._found = {
            self.INDICES: subset_records(**splits),
            self.filename: split_images(**splits),
        }
        sizes = ', '.join(f'{len(d)} {name}' for name, d in splits.items())
        path = Path(runner.work_dir, self.filename)
        runner.logger.info(f'Images: {sizes}; see {path}')

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """After the first step the first process writes the files.

        Not before: what stops a run until then, as an image size that the
        ViT cannot take, leaves the files of a finished training.
        """
        found, self._found = self._found, {}
        if not is_main_process():
            return
        for name, record in found.items():
            if record or name == self.filename:
                write_record(Path(runner.work_dir, name), record)

    def before_test(self, runner: Runner) -> None:
        """Check the labels of the test set.

        Raises:
            ValueError: A label is out of range.
        """
        loader = getattr(runner.test_loop, 'dataloader', None)
        dataset = getattr(loader, 'dataset', None)
        evaluator = getattr(runner.test_loop, 'evaluator', None)
        if hasattr(dataset, 'get_data_info'):
            self._check_labels(runner, 'test', dataset, evaluator)

    @staticmethod
    def _check_labels(
        runner: Runner, split: str, dataset: Any, evaluator: Any = None
    ) -> bool:
        """Labels are classes, but in a gallery, which no class metric scores.

        Args:
            runner (Runner): Has the model.
            split (str): Name of the split.
            dataset (Any): Its data set.
            evaluator (Any): What scores the split, or the config of it.

        Returns:
            bool: Whether the labels are classes.
        """
        model = bare_model(runner)
        head = getattr(model, 'head', None)
        classes = getattr(head, 'num_classes', None)
        if classes is None or isinstance(head, RegressionHead):
            return False
        if split != 'train':
            # What a retriever predicts are positions in its gallery.
            if evaluator is None or isinstance(model, BaseRetriever):
                return False
            metrics = runner.build_evaluator(evaluator).metrics
            if not any(isinstance(m, _OF_CLASSES) for m in metrics):
                return False
        check_labels(dataset, classes, split)
        return True

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
