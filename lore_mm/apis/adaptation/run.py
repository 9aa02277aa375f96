"""Adapt a folder of images from one end to the other."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mmengine.config import Config
from mmengine.logging import print_log

from lore_mm.engine.files import replace_when_done
from lore_mm.models.black_boxes import BlackBox
from lore_mm.utils.outputs import check_folder

from ..model import init_model
from .black_box import resolve_black_box
from .config import make_config, read_config, write_config
from .hardware import Hardware, find_hardware, make_plan
from .images import FolderFacts, check_images, check_out, default_out
from .reporting import describe_knowledge, write_results
from .result import CHECKPOINT, CLASSES, CONFIG, LOCK, SPLITS, Adaptation
from .scoring import linear_probe, score
from .settings import (
    Settings,
    build_black_box,
    check_seed,
    choose_settings,
    read_state,
    write_state,
)
from .training import keep_best, train


def adapt(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    black_box: str | dict | None = None,
    checkpoint: str | Path | None = None,
    knowledge: str | None = None,
    img_size: int | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    amp: bool | None = None,
    seed: int | None = None,
    workers: int | None = None,
    resume: bool = False,
) -> Adaptation:
    """Adapt a ViT to a folder of images, test it and write a report.

    The folder has one sub-folder per class, or ``train/``, ``val/`` and
    ``test/`` with them; what is missing is drawn by a seeded split, see
    :class:`~lore_mm.datasets.ImageFolder`. What is not given is chosen for
    the machine. Nothing is written before folder, weights and arguments are
    checked. Called again with the same ``out`` it goes on where it stopped,
    with the settings it began with.

    Args:
        folder (str | Path): The images.
        out (str | Path, optional): Folder for all results. Defaults to None:
            ``work_dirs/adapt/<name of the folder>``.
        black_box (str | dict, optional): The frozen ViT: ``'vit-b16'``,
            ``'vit-s14'``, a name of timm, or a config.
        checkpoint (str | Path, optional): Local file with its weights.
        knowledge (str, optional): What embeds class names: ``'sentence'``,
            or ``'random'`` vectors. Defaults to None: sentences where the
            encoder is installed.
        img_size (int, optional): Side of the images in pixels, a multiple of
            the ViT's patch.
        batch_size (int, optional): Images in a step.
        epochs (int, optional): Passes over the training images.
        amp (bool, optional): Mixed precision in training.
        seed (int, optional): Of the split and of training. Defaults to 0.
        workers (int, optional): Processes that load images, in this call.
        resume (bool): Refuse to begin anew. Defaults to False.

    Returns:
        Adaptation: Where everything is, and the metrics.

    Raises:
        FileNotFoundError: There is no such folder, checkpoint, or, with
            ``resume``, nothing to go on with.
        ValueError: The folder or an argument is wrong, ``out`` holds
            something else or cannot be written, another adaptation is at
            work in it, or no ViT can be had.

    Examples:
        >>> from lore_mm.apis import adapt
        >>> result = adapt('photos', out='adapted')  # doctest: +SKIP
        >>> result.metrics['accuracy/top1'], result.report  # doctest: +SKIP
    """
    start = time.monotonic()
    folder = Path(folder).expanduser()
    out = Path(out).expanduser() if out else default_out(folder)
    out = out.resolve()
    given = dict(
        black_box=resolve_black_box(black_box, checkpoint),
        knowledge=knowledge,
        img_size=img_size,
        batch_size=batch_size,
        epochs=epochs,
        amp=amp,
        seed=seed,
    )
    given = {key: value for key, value in given.items() if value is not None}
    check_seed(given.get('seed', 0))
    check_out(out, folder)
    stored = read_state(out, folder.resolve(), given)
    if stored is None and resume:
        raise FileNotFoundError(
            f"there is nothing to resume in '{out}': leave resume out to "
            'begin, or name the out that was used.'
        )
    if stored is not None and stored[1] == 'finished':
        done = Adaptation.read(out)
        print_log(
            f'{out} holds the finished adaptation of {folder}: nothing to '
            'do. Name another out, or delete this one, to start anew.',
            logger='current',
        )
        return done
    hardware = find_hardware()
    if workers is not None and workers < 0:
        raise ValueError(f'workers must be 0 or more, got {workers}.')
    return _work(
        folder.resolve(), out, given, stored, hardware, workers, start
    )


def _work(
    folder: Path,
    out: Path,
    given: Mapping[str, Any],
    stored: tuple[Settings, str, float] | None,
    hardware: Hardware,
    workers: int | None,
    start: float,
) -> Adaptation:
    """All steps that are not done yet."""
    settings, state, before = stored or (None, 'started', 0.0)
    seed = given.get('seed', 0) if settings is None else settings.seed
    threads = hardware.cores if workers is None else workers
    facts = _look_at(folder, out, seed, threads)
    number = facts.total('train')
    if settings is None:
        settings, box = choose_settings(folder, number, hardware, given)
    else:
        box = build_black_box(settings.black_box)
        print_log(f'Going on in {out}: {state}.', logger='current')
    planned = make_plan(hardware, number).workers
    planned = planned if workers is None else workers

    def seconds() -> float:
        return before + time.monotonic() - start

    def note(state: str) -> None:
        write_state(out, settings, state, seconds())

    with _alone(out):
        _begin(out, settings, box, facts, planned, state, before)
        _say(settings, facts, hardware, out)
        if state == 'started':
            train(out / CONFIG, workers, partial(note, 'started'))
            keep_best(out / 'train', out / CHECKPOINT)
            note('trained')
        cfg = read_config(out / CONFIG, workers)
        _finish(out, settings, facts, hardware, cfg, seconds())
        note('finished')
    return Adaptation.read(out)


def _look_at(folder: Path, out: Path, seed: int, threads: int) -> FolderFacts:
    """Check the images: those that ``out`` was begun with, if it was."""
    split_file, known = out / SPLITS, None
    if (out / CONFIG).is_file():
        dataset = read_config(out / CONFIG).train_dataloader.dataset
        known = dataset.get('folders')
    facts = check_images(
        folder,
        seed,
        split_file if split_file.is_file() else None,
        threads,
        known,
    )
    trained = any((out / 'train').glob('*.pth'))
    if trained and facts.drawn and not split_file.is_file():
        raise ValueError(
            f"out '{out}' has checkpoints but its {SPLITS} is gone: another "
            'split could test on images that were trained on. Restore the '
            'file, or name another out to start anew.'
        )
    return facts


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder; the system lets go of it when this process ends."""
    check_folder(out, 'out', 'choose another with --out')
    lock = FileLock(out / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"another adaptation is at work in out '{out}': wait for its "
            'end, or name another out.'
        ) from error
    try:
        yield
    finally:
        lock.release()


def _begin(
    out: Path,
    settings: Settings,
    box: BlackBox,
    facts: FolderFacts,
    workers: int,
    state: str,
    seconds: float,
) -> None:
    """Write what a later call goes on from: the record last."""
    write_state(out, settings, state, seconds)
    with replace_when_done(out / CLASSES) as temp:
        temp.write_text('\n'.join(facts.classes) + '\n', 'utf-8')
    if not (out / CONFIG).is_file():
        cfg = make_config(settings, box, facts, workers)
        write_config(cfg, out / CONFIG)


def _finish(
    out: Path,
    settings: Settings,
    facts: FolderFacts,
    hardware: Hardware,
    cfg: Config,
    seconds: float,
) -> None:
    """Test, and write the results."""
    model = init_model(cfg, out / CHECKPOINT, hardware.device)
    print_log(f'Testing on {facts.total("test")} images.', logger='current')
    lore = score(cfg, model)
    print_log('Fitting the linear probe of the bare ViT.', logger='current')
    probe = linear_probe(cfg, model)
    extra = {
        'Machine': hardware.name,
        'Time': f'{seconds / 60:.1f} minutes',
    }
    print_log('Writing the report.', logger='current')
    write_results(out, settings, facts, model, lore, probe, extra)


def _say(
    settings: Settings, facts: FolderFacts, hardware: Hardware, out: Path
) -> None:
    """Log what will be done."""
    box = settings.black_box
    print_log(
        f'{len(facts.classes)} classes, {facts.total("train")} images to '
        f'train on, {facts.total("val")} to validate, {facts.total("test")} '
        f'to test. {hardware.name}: {box.get("model_name", box["type"])} at '
        f'{settings.img_size} px, {settings.epochs} epochs in batches of '
        f'{settings.batch_size}; {describe_knowledge(settings)}. Everything '
        f'goes to {out}',
        logger='current',
    )
