"""Seeded subsets of any data set: few shots, and a held-out part."""

from typing import Any

from torch.utils.data import Dataset

from lore_mm.registry import DATASETS

from .sampling import check_part, check_seed, part_sizes, seeded_order
from .seeded_subset import SeededSubset


def _class_name(dataset: Any, label: int) -> str:
    return repr(dataset.metainfo['classes'][label])


def _check_count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f'{name} must be an integer >= 1, got {value!r}.')
    return value


def _draw_shots(
    dataset: Any,
    names: list[str],
    groups: list[list[int]],
    shots: int,
    seed: int,
    allow_fewer: bool = False,
) -> list[int]:
    """Positions of ``shots`` images of each class, sorted."""
    chosen: list[int] = []
    for label, members in enumerate(groups):
        if len(members) < (1 if allow_fewer else shots):
            raise ValueError(
                f'class {_class_name(dataset, label)} has {len(members)} '
                f'images, fewer than shots={shots}. Take fewer shots'
                + (', or set allow_fewer=True.' if members else '.')
            )
        order = seeded_order([names[i] for i in members], seed, 'shots')
        chosen += [members[i] for i in order[:shots]]
    return sorted(chosen)


@DATASETS.register_module()
class FewShotSubset(SeededSubset):
    """k training images of each class, chosen by a seed.

    Fewer shots under one seed are a subset of more shots.

    Args:
        dataset (dict | BaseDataset): Any data set of mmengine or mmpretrain
            with one label per image, or a :class:`HoldOut`.
        shots (int, optional): Images of each class. Defaults to None, all.
        seed (int): Seed of the choice. Defaults to 0.
        indices_file (str, optional): JSON file with the chosen images.
            Written if it does not exist, else read.
        allow_fewer (bool): Take all images of a class that has fewer than
            ``shots``, not raise. Defaults to False.
        lazy_init (bool): Choose at the first use. Defaults to False.

    Raises:
        ValueError: If a class has too few images, a label is out of range,
            or ``indices_file`` belongs to another data set or choice.
    """

    def __init__(
        self,
        dataset: dict | Dataset,
        shots: int | None = None,
        seed: int = 0,
        indices_file: str | None = None,
        allow_fewer: bool = False,
        lazy_init: bool = False,
    ) -> None:
        self.shots = shots
        if shots is not None:
            _check_count('shots', shots)
        self.seed = check_seed(seed)
        self.allow_fewer = allow_fewer
        super().__init__(dataset, indices_file, lazy_init)

    def _choice(self) -> dict[str, Any]:
        if self.shots is None:
            return {'shots': None}
        return {
            'shots': self.shots,
            'seed': self.seed,
            'allow_fewer': self.allow_fewer,
        }

    def _choose(self, names: list[str], groups: list[list[int]]) -> list[int]:
        if self.shots is None:
            return list(range(len(names)))
        return _draw_shots(
            self.dataset,
            names,
            groups,
            self.shots,
            self.seed,
            self.allow_fewer,
        )


@DATASETS.register_module()
class HoldOut(SeededSubset):
    """One of two parts of a training set: to train on, or to validate on.

    The validation part is drawn class by class with ``seed``, at least one
    image of each class; the rest is the training part. Use the same data set,
    size and ``seed`` for both parts, then they have no image in common. With
    ``shots`` the training part is cut down to so many images of each class,
    drawn with ``shots_seed``; the validation part stays as it is. So
    ``shots`` and ``shots_seed`` can change from run to run, and no run ever
    trains on the validation images.

    Args:
        dataset (dict | BaseDataset): Any data set of mmengine or mmpretrain
            with one label per image.
        part (str): ``'train'`` or ``'val'``.
        ratio (float): Share of each class that goes to the validation part.
            Defaults to 0.1.
        per_class (int, optional): Validation images of each class, instead
            of ``ratio``.
        seed (int): Seed of the split in two. Defaults to 0.
        shots (int, optional): Training images of each class. Defaults to
            None, all.
        shots_seed (int): Seed of the shots. Defaults to 0.
        allow_fewer (bool): Take all images of a class that has fewer than
            ``shots``, not raise. Defaults to False.
        indices_file (str, optional): JSON file with the images of this
            part. Written if it does not exist, else read.
        lazy_init (bool): Choose at the first use. Defaults to False.

    Raises:
        ValueError: If a class has too few images, a label is out of range,
            or ``indices_file`` belongs to another data set or choice.
    """

    def __init__(
        self,
        dataset: dict | Dataset,
        part: str,
        ratio: float = 0.1,
        per_class: int | None = None,
        seed: int = 0,
        shots: int | None = None,
        shots_seed: int = 0,
        allow_fewer: bool = False,
        indices_file: str | None = None,
        lazy_init: bool = False,
    ) -> None:
        self.part = check_part(part, ('train', 'val'), 'part')
        if not 0 < ratio < 1:
            raise ValueError(f'ratio must be in (0, 1), got {ratio}.')
        self.ratio = ratio
        self.per_class = per_class
        if per_class is not None:
            _check_count('per_class', per_class)
        self.seed = check_seed(seed)
        self.shots = shots
        if shots is not None:
            _check_count('shots', shots)
        self.shots_seed = check_seed(shots_seed)
        self.allow_fewer = allow_fewer
        super().__init__(dataset, indices_file, lazy_init)

    def _choice(self) -> dict[str, Any]:
        size = {'ratio': self.ratio}
        if self.per_class is not None:
            size = {'per_class': self.per_class}
        choice = {'part': self.part, **size, 'seed': self.seed}
        if self.part == 'train':
            choice['shots'] = self.shots
        if self.part == 'train' and self.shots is not None:
            choice['shots_seed'] = self.shots_seed
            choice['allow_fewer'] = self.allow_fewer
        return choice

    def _choose(self, names: list[str], groups: list[list[int]]) -> list[int]:
        train: list[list[int]] = []
        val: list[int] = []
        for label, members in enumerate(groups):
            if len(members) <= (self.per_class or 1):
                raise ValueError(
                    f'class {_class_name(self.dataset, label)} has '
                    f'{len(members)} images, too few to hold out '
                    f'{self.per_class or 1} and train on the rest.'
                )
            count = self.per_class
            if count is None:
                shares = (self.ratio, 1 - self.ratio)
                count = part_sizes(len(members), shares)[0]
            order = seeded_order([names[i] for i in members], self.seed)
            val += [members[i] for i in order[:count]]
            train.append([members[i] for i in order[count:]])
        if self.part == 'val':
            return sorted(val)
        if self.shots is None:
            return sorted(i for members in train for i in members)
        return _draw_shots(
            self.dataset,
            names,
            train,
            self.shots,
            self.shots_seed,
            self.allow_fewer,
        )
