"""What an adaptation gives back."""

import json
from dataclasses import dataclass
from pathlib import Path

REPORT = 'report.html'
METRICS = 'metrics.json'
CONFIG = 'config.py'
CHECKPOINT = 'checkpoint.pth'
CLASSES = 'class_names.txt'
SPLITS = 'splits.json'  # where parts were drawn
LOCK = '.lock'  # held while an adaptation is at work
# All that a finished folder holds beside its logs.
FILES = (REPORT, METRICS, CONFIG, CHECKPOINT, CLASSES)


@dataclass(frozen=True)
class Adaptation:
    """A finished adaptation.

    Attributes:
        out (Path): Its folder.
        metrics (dict): Content of ``metrics.json``; per cent.
        classes (tuple[str, ...]): Names by label.
    """

    out: Path
    metrics: dict
    classes: tuple[str, ...]

    @classmethod
    def read(cls, out: Path) -> 'Adaptation':
        """Read a finished folder.

        Raises:
            ValueError: A file is missing.
        """
        missing = [name for name in FILES if not (out / name).is_file()]
        if missing:
            raise ValueError(
                f"out '{out}' was finished but lacks {', '.join(missing)}: "
                'delete it to start anew.'
            )
        metrics = json.loads((out / METRICS).read_text('utf-8'))
        names = (out / CLASSES).read_text('utf-8').splitlines()
        return cls(out, metrics, tuple(names))

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.out / REPORT

    @property
    def config(self) -> Path:
        """The config, for tools and inferencers."""
        return self.out / CONFIG

    @property
    def checkpoint(self) -> Path:
        """The trained weights that were best on the validation images."""
        return self.out / CHECKPOINT
