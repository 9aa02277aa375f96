"""A grid of runs: methods x data sets x shots x seeds."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from mmengine.config import Config

from lore_mm.utils import find_config

from .recompose import recompose
from .run_settings import keep_settings, settings_of

# Keys of a benchmark file, of a method and of a data set in it.
_KEYS = {
    'title',
    'work_dir',
    'black_box',
    'img_size',
    'amp',
    'shots',
    'shots_options',
    'seeds',
    'options',
    'methods',
    'data_sets',
    'published',
}
_METHOD_KEYS = {'config', 'title', 'options', 'kind', 'shots'}
_DATA_KEYS = {'config', 'title', 'options', 'shots_seed', 'methods'}
# How a method is run.
KINDS = ('train', 'test', 'easy_to_hard')
_SHOTS = 'train_dataloader.dataset.shots'
_SHOTS_SEED = 'train_dataloader.dataset.shots_seed'


@dataclass(frozen=True)
class Run:
    """One run of a grid.

    Attributes:
        method (str): Name of the method.
        data_set (str): Name of the data set.
        shots (int | None): Images of each class; None is all of them, 0 none.
        seed (int): Seed of the run, and of the draw of the shots.
        folder (Path): Where it is done.
        leaf (Path): The config that it starts from.
        swaps (dict): See :func:`recompose`.
        options (tuple[str, ...]): ``--cfg-options``.
        kind (str): One of ``KINDS``.
        amp (bool): Mixed precision.
    """

    method: str
    data_set: str
    shots: int | None
    seed: int
    folder: Path
    leaf: Path
    swaps: dict[str, Path] = field(hash=False)
    options: tuple[str, ...] = ()
    kind: str = 'train'
    amp: bool = False

    def __str__(self) -> str:
        shots = 'all' if self.shots is None else self.shots
        return f'{self.method}, {self.data_set}, {shots} shots, {self.seed}'


def load_benchmark(path: str | Path) -> dict[str, Any]:
    """Read and check a benchmark file (YAML).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A key is unknown or missing; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"benchmark file '{path}' does not exist.")
    try:
        content = yaml.safe_load(path.read_text('utf-8'))
    except yaml.YAMLError as error:
        raise ValueError(f"'{path}' is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"'{path}' must hold a mapping.")
    _check_keys(path, '', content, _KEYS, {'methods', 'data_sets'})
    for name, method in content['methods'].items():
        where = f'methods.{name}'
        _check_keys(path, where, method, _METHOD_KEYS, {'config'})
        kind = method.get('kind', KINDS[0])
        if kind not in KINDS:
            raise ValueError(
                f"'{path}': {where}.kind must be one of {KINDS}, got {kind!r}."
            )
    extra = set(content.get('shots_options') or {}) - set(
        content.get('shots', [None])
    )
    if extra:
        raise ValueError(
            f"'{path}': shots_options names {min(extra, key=str)!r}, which "
            f'is not in shots: {content.get("shots", [None])}.'
        )
    for name, data_set in content['data_sets'].items():
        content['data_sets'][name] = data_set or {}
        where = f'data_sets.{name}'
        _check_keys(path, where, data_set or {}, _DATA_KEYS, set())
        unknown = set((data_set or {}).get('methods', {})) - set(
            content['methods']
        )
        if unknown:
            raise ValueError(
                f"'{path}': {where}.methods names {min(unknown)!r}, which is "
                'no method of the file.'
            )
    return content


def _check_keys(
    path: Path, where: str, found: object, known: set, needed: set
) -> None:
    what = f'{where}: ' if where else ''
    if not isinstance(found, dict):
        raise ValueError(f"'{path}': {where} must be a mapping.")
    wrong = sorted(set(found) - known)
    if wrong:
        raise ValueError(
            f"'{path}': {what}unknown key {wrong[0]!r}; known: "
            f'{", ".join(sorted(known))}.'
        )
    for name in sorted(needed - set(found)):
        raise ValueError(f"'{path}': {what}{name} is missing.")


def plan(spec: Mapping[str, Any], work_dir: str | Path) -> list[Run]:
    """All runs of a benchmark, in the order in which they are started.

    Seeds come first, so that a grid that is stopped half-way has each method
    once and not one of them often.

    Args:
        spec (Mapping): What :func:`load_benchmark` returned.
        work_dir (str | Path): Folder of all runs.
    """
    runs = {}
    grid = itertools.product(
        spec.get('seeds', [0]),
        spec['data_sets'],
        spec.get('shots', [None]),
        spec['methods'],
    )
    for seed, data_set, shots, method in grid:
        run = _run(spec, Path(work_dir), method, data_set, shots, seed)
        if run is not None:
            runs[run.folder] = run
    return list(runs.values())


def _run(
    spec: Mapping[str, Any],
    work_dir: Path,
    method: str,
    data_set: str,
    shots: int | None,
    seed: int,
) -> Run | None:
    """One run; None if the method does not take so many shots."""
    how, data = spec['methods'][method], spec['data_sets'][data_set]
    kind = how.get('kind', KINDS[0])
    if kind == 'test':
        shots, seed = 0, 0  # nothing is drawn
    elif shots not in how.get('shots', [shots]):
        return None
    base = data.get('config', f'_base_/datasets/{data_set}')
    swaps = {'datasets': find_config(base)}
    if spec.get('black_box'):
        box = f'_base_/black_boxes/{spec["black_box"]}'
        swaps['black_boxes'] = find_config(box)
    options: dict[str, Any] = {}
    if shots and kind == 'train':
        options[_SHOTS] = shots
        options[data.get('shots_seed', _SHOTS_SEED)] = seed
    special = data.get('methods', {}).get(method, {})
    few = (spec.get('shots_options') or {}).get(shots)
    for more in (spec, {'options': few}, how, data, {'options': special}):
        options.update(more.get('options') or {})
    if kind == 'test':  # of a training set that it has not
        options = {k: v for k, v in options.items() if _tested(k)}
    name = 'all' if shots is None else f'{shots}shot'
    return Run(
        method=method,
        data_set=data_set,
        shots=shots,
        seed=seed,
        folder=work_dir / method / data_set / name / f'seed{seed}',
        leaf=find_config(how['config']),
        swaps=swaps,
        options=tuple(f'{k}={v}' for k, v in options.items()),
        kind=kind,
        amp=bool(spec.get('amp')),
    )


def _tested(key: str) -> bool:
    return not key.startswith(
        ('train_', 'val_', 'optim_wrapper', 'param_scheduler')
    )


def write_config(run: Run) -> Path:
    """Write the config of a run to its folder.

    A folder that was made with other settings is refused: its results would
    be passed off as those of this benchmark.

    Raises:
        ValueError: The folder has other settings; it is left as it is.
    """
    facts = dict(options=list(run.options), amp=run.amp, kind=run.kind)
    # Compared before the config of a finished run is replaced.
    with TemporaryDirectory() as folder:
        path = recompose(run.leaf, Path(folder, 'config.py'), run.swaps)
        settings = settings_of(Config.fromfile(path), **facts)
    keep_settings(run.folder / 'settings.json', settings)
    return recompose(run.leaf, run.folder / 'config.py', run.swaps)


def read_result(run: Run) -> dict[str, Any] | None:
    """Figures of a finished run as a row of a table; None if unfinished."""
    metrics = run.folder / 'metrics.json'
    if not metrics.is_file():
        return None
    row = dict(
        method=run.method,
        data_set=run.data_set,
        shots=run.shots,
        seed=run.seed,
        metrics=json.loads(metrics.read_text('utf-8')),
    )
    for folder in ('', 'stage_one', 'test'):
        facts = run.folder / folder / 'facts.json'
        if facts.is_file():
            return {**row, **json.loads(facts.read_text('utf-8'))}
    return row
