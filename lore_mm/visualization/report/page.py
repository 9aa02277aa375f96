"""Fill the page of a report."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATE = 'report.html'
_PNG = b'\x89PNG'
# Pixels of the confusion matrix; the page scrolls it sideways.
_CELL, _MIN_WIDTH, _MAX_WIDTH = 26, 300, 1100


@dataclass(frozen=True)
class PerClass:
    """One row of the table of classes.

    Attributes:
        name (str): The class.
        images (int): Test images of it.
        recall (float | None): In per cent; None without test images.
        precision (float | None): In per cent; None if never predicted.
        taken_for (str): The class it is most often taken for, or ''.
        train (int): Training images.
    """

    name: str
    images: int
    recall: float | None
    precision: float | None
    taken_for: str
    train: int


@dataclass(frozen=True)
class Mistake:
    """A test image that was named wrong, or barely right.

    Attributes:
        name (str): Path of the image in its folder.
        truth (str): Its class.
        predicted (str): What it was taken for.
        score (float): Probability of that, in per cent.
        true_score (float): Probability of its class, in per cent.
        pictures (Sequence[tuple[str, bytes]]): Caption and picture each: the
            image, attention maps.
    """

    name: str
    truth: str
    predicted: str
    score: float
    true_score: float
    pictures: Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Report:
    """What the page says.

    Attributes:
        title (str): Of the page.
        accuracy (float): Of LORE on the test images, in per cent.
        low, high (float): 95 % interval of it.
        probe (float): Accuracy of the bare Black Box, in per cent.
        images (int): Number of test images.
        facts (dict[str, str]): What was done with what.
        classes (Sequence[PerClass]): One for each class.
        mistakes (Sequence[Mistake]): Worst first.
        number_wrong (int): Of all mistakes.
        curves (dict[str, bytes]): Caption and picture each.
        confusion (bytes): Picture of the confusion matrix.
        commands (dict[str, str]): What they do, and the command lines.
        left_out (Sequence[str]): Files that are no images.
        notes (Sequence[str]): Sentences that a reader should know.
    """

    title: str
    accuracy: float
    low: float
    high: float
    probe: float
    images: int
    facts: dict[str, str]
    classes: Sequence[PerClass]
    mistakes: Sequence[Mistake]
    number_wrong: int
    curves: dict[str, bytes]
    confusion: bytes
    commands: dict[str, str]
    left_out: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=list)


def render_report(report: Report) -> str:
    """One HTML page with all pictures inside; it asks for nothing else."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # class and file names are the user's
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['picture'] = _data_uri
    width = min(160 + _CELL * len(report.classes), _MAX_WIDTH)
    return environment.get_template(_TEMPLATE).render(
        report=report, confusion_width=max(width, _MIN_WIDTH)
    )


def _data_uri(picture: bytes) -> str:
    kind = 'png' if picture.startswith(_PNG) else 'jpeg'
    text = base64.b64encode(picture).decode('ascii')
    return f'data:image/{kind};base64,{text}'
