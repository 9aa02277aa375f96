"""Features of the whole training set, computed once before training."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from mmengine.dataset import Compose, RepeatDataset, pseudo_collate
from mmengine.dist import all_gather_object, all_reduce, get_dist_info
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner, autocast
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .bare_model import bare_model

# What identifies an image in the meta information that PackInputs keeps.
ID_KEYS = ('img_path', 'sample_idx')
# Under which names wrappers hold their data set: most of them, and mmengine's
# own wrapper for `num_batch_per_epoch`.
_INNER = ('dataset', '_dataset')
_INNERS = 'datasets'
_CHUNK = 8192  # images exchanged at a time


class TrainSetFeatures(NamedTuple):
    """Features of the training images, in the order of the data set.

    Attributes:
        features (Tensor): float32 (n, D) on the CPU.
        labels (Tensor): True labels, int64 (n,).
        ids (list[dict]): What is known of each image's ``img_path`` and
            ``sample_idx``.
    """

    features: Tensor
    labels: Tensor
    ids: list[dict]


def extract_train_features(
    runner: Runner,
    compute: Callable[[Tensor], Tensor],
    pipeline: Sequence[dict] | None = None,
    batch_size: int | None = None,
    num_images: int | None = None,
) -> TrainSetFeatures:
    """Run ``compute`` over the training set, without augmentation.

    The model is in eval mode meanwhile, and computes in mixed precision where
    a GPU trains so (:func:`train_precision`). Ranks share the images, and each
    gets the whole result. Neither the training data set nor the state of the
    global random generators is changed. Repetitions by ``RepeatDataset`` are
    skipped.

    Args:
        runner (Runner): At ``before_train`` or later.
        compute (Callable): Maps normalised images (B, 3, H, W) on the model's
            device to features (B, D).
        pipeline (Sequence[dict], optional): A pipeline without randomness.
            Defaults to None: that of the validation data set.
        batch_size (int, optional): Defaults to that of training.
        num_images (int, optional): At most so many images, a fixed random
            choice. Defaults to None, all.

    Raises:
        ValueError: No pipeline is given and there is no validation set, or an
            image has not exactly one label.
    """
    loader = runner.train_dataloader
    steps = Compose(pipeline) if pipeline else val_pipeline(runner)
    dataset = with_pipeline(loader.dataset, steps)
    chosen = _choose(len(dataset), num_images)
    rank, world_size = get_dist_info()
    positions = chosen[rank::world_size]
    print_log(
        f'Computing features of {len(chosen)} training images.',
        logger='current',
    )
    own = DataLoader(
        dataset,
        batch_size=batch_size or loader.batch_size or 1,
        sampler=positions,
        num_workers=loader.num_workers,
        collate_fn=pseudo_collate,
        generator=torch.Generator(),  # leaves the global one as it is
    )
    return _of_all_ranks(*_run(runner, own, compute))


def _choose(length: int, number: int | None) -> list[int]:
    """Positions of the images to use, in order; the same on all ranks."""
    if number is None or number >= length:
        return list(range(length))
    generator = torch.Generator().manual_seed(0)
    return sorted(
        torch.randperm(length, generator=generator)[:number].tolist()
    )


def _run(
    runner: Runner, loader: DataLoader, compute: Callable[[Tensor], Tensor]
) -> tuple[Tensor, list[int], list[dict]]:
    """Features (n, D), labels and ids of this rank; D is 0 without images."""
    model = bare_model(runner)
    features = torch.empty(0, 0)
    labels: list[int] = []
    ids: list[dict] = []
    with torch.no_grad(), eval_mode(model), train_precision(runner):
        for batch in loader:
            batch = model.data_preprocessor(batch, False)
            part = compute(batch['inputs']).float().cpu()
            if not ids:  # made whole at once, as two copies may not fit
                features = part.new_empty(len(loader.sampler), part.shape[1])
            features[len(ids) : len(ids) + len(part)] = part
            for sample in batch['data_samples']:
                labels.append(_label(sample))
                ids.append(sample_id(sample))
    return features, labels, ids


def _of_all_ranks(
    features: Tensor, labels: list[int], ids: list[dict]
) -> TrainSetFeatures:
    """Merge the ranks' parts, of which each is every world-size-th image."""
    rank, world_size = get_dist_info()
    parts = all_gather_object((labels, ids, features.shape[1]))
    number = sum(len(part[0]) for part in parts)
    all_labels, all_ids = [0] * number, [{}] * number
    for other, part in enumerate(parts):
        all_labels[other::world_size], all_ids[other::world_size] = part[:2]
    if world_size > 1:
        # Summed with the others' zeros: a gathered list would be all features
        # once more, and on the GPU.
        width = max(part[2] for part in parts)  # a rank may have no image
        own, features = features, torch.zeros(number, width)
        if ids:
            features[rank::world_size] = own
        for chunk in features.split(_CHUNK):
            all_reduce(chunk)
    whole = torch.tensor(all_labels, dtype=torch.int64)
    return TrainSetFeatures(features, whole, all_ids)


def sample_id(sample: Any) -> dict:
    """What is known of a data sample's ``img_path`` and ``sample_idx``."""
    return {
        key: sample.get(key) for key in ID_KEYS if sample.get(key) is not None
    }


def _label(sample: Any) -> int:
    label = sample.get('gt_label')
    count = 0 if label is None else label.numel()
    if count != 1:
        raise ValueError(
            'features of the training set need exactly one gt_label for each '
            f'image, got {count} for {sample_id(sample)}.'
        )
    return int(label)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode inside, each module's own mode again after."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def train_precision(runner: Runner) -> AbstractContextManager:
    """Autocast as in mixed precision on a GPU, where the head starts so.

    Not for :class:`BFloat16OptimWrapper`: on a CPU validation and test run in
    float32, whose features the head is fitted to.
    """
    wrapper = getattr(runner, 'optim_wrapper', None)
    if not isinstance(wrapper, AmpOptimWrapper):
        return nullcontext()
    return autocast(dtype=wrapper.cast_dtype)


def was_loaded(runner: Runner, module: str) -> bool:
    """Whether a checkpoint filled a child of the model, such as ``head``."""
    loaded = getattr(runner, 'loaded_modules', None)
    return runner._has_loaded and (loaded is None or module in loaded)


# -- the data set with another pipeline ---------------------------------------
def with_pipeline(dataset: Dataset, pipeline: Callable) -> Dataset:
    """A view of ``dataset`` whose images go through ``pipeline``.

    Wrappers and data sets are copied shallowly: the list of images is shared,
    and the original keeps its own pipeline.

    Raises:
        ValueError: The data set has no ``pipeline`` and wraps none that has.
    """
    if isinstance(dataset, RepeatDataset):
        return with_pipeline(dataset.dataset, pipeline)
    view = copy.copy(dataset)
    if hasattr(dataset, _INNERS):
        view.datasets = [with_pipeline(d, pipeline) for d in dataset.datasets]
        return view
    for name in _INNER:
        inner = getattr(dataset, name, None)
        if inner is not None:
            setattr(view, name, with_pipeline(inner, pipeline))
            return view
    _check_leaf(dataset)
    view.pipeline = pipeline
    view.test_mode = True  # never another image in place of a broken one
    return view


def _check_leaf(dataset: Dataset) -> None:
    if not hasattr(dataset, 'pipeline'):
        raise ValueError(
            f'data set {type(dataset).__name__} has no `pipeline` that could '
            'be replaced by one without randomness; use a data set of '
            'mmpretrain, or drop the hook.'
        )


def val_pipeline(runner: Runner) -> Callable:
    """The pipeline of the first validation data set."""
    if runner.val_loop is None:
        raise ValueError(
            'the hook needs a pipeline without randomness: there is no '
            'val_dataloader to take it from, give `pipeline=[...]`.'
        )
    dataset = runner.val_dataloader.dataset
    while not hasattr(dataset, 'pipeline'):
        names = [name for name in _INNER if hasattr(dataset, name)]
        if hasattr(dataset, _INNERS):
            dataset = dataset.datasets[0]
        elif names:
            dataset = getattr(dataset, names[0])
        else:
            _check_leaf(dataset)
    return dataset.pipeline
