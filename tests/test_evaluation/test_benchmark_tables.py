"""Tables of a benchmark: by hand, and beside published figures."""

import csv
import io
import statistics
from pathlib import Path

import pytest
import yaml

from lore_mm.evaluation.benchmark_tables import (
    MEAN,
    Figure,
    Table,
    short_number,
    to_csv,
    to_latex,
    to_markdown,
)

PUBLISHED = (
    Path(__file__).resolve().parents[2] / 'configs/benchmark/published.yaml'
)
SPEC = dict(
    black_box='clip-b16',
    shots=[4],
    data_sets=dict(dtd=dict(title='DTD'), cub={}),
    methods=dict(lore=dict(title='LORE'), probe={}),
)


def row(method: str, data_set: str, seed: int, top1: float, **more) -> dict:
    metrics = {'accuracy/top1': top1, **more}
    return dict(
        method=method,
        data_set=data_set,
        shots=4,
        seed=seed,
        metrics=metrics,
        trained_weights=1_000_000,
    )


ROWS = [
    row('lore', 'dtd', 0, 70.0),
    row('lore', 'dtd', 1, 72.0),
    row('lore', 'cub', 0, 60.0),
    row('lore', 'cub', 1, 66.0),
    row('probe', 'cub', 0, 50.0),
]


def test_markdown() -> None:
    assert to_markdown(Table.of(SPEC, ROWS)).splitlines() == [
        '| shots | method | weights | DTD | cub | mean |',
        '| ---: | --- | ---: | ---: | ---: | ---: |',
        '| 4 | LORE | 1 M | 71.00 ± 1.41 | 63.00 ± 4.24 | 67.00 ± 2.83 |',
        '| 4 | probe | 1 M |  | 50.00 |  |',
    ]


def test_csv_has_numbers() -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(Table.of(SPEC, ROWS)))))
    assert [line['method'] for line in lines] == ['LORE', 'probe']
    assert float(lines[0]['dtd']) == 71
    assert float(lines[0]['dtd_deviation']) == pytest.approx(2**0.5)
    assert (lines[0]['seeds'], lines[1]['seeds']) == ('2', '1')
    assert lines[1]['mean'] == ''


def test_latex_is_escaped() -> None:
    spec = dict(SPEC, methods=dict(lore=dict(title='A_b & 5 %')))
    text = to_latex(Table.of(spec, ROWS))
    assert r'4 & A\_b \& 5 \% & 1 M & 71.00 $\pm$ 1.41' in text
    assert text.startswith(r'\begin{tabular}{rlrrrr}')


def test_mean_is_over_seeds_that_all_have() -> None:
    table = Table.of(SPEC, [*ROWS, row('lore', 'dtd', 2, 10.0)])
    assert table.lines[0].figures[MEAN] == Figure(67.0, 8**0.5, 2)
    assert table.lines[0].figures['dtd'].count == 3


def test_two_stages() -> None:
    rows = [row('lore', 'cub', 0, 60.0, **{'stage_one/accuracy/top1': 55.0})]
    titles = {
        line.method: line.figures['cub'].mean
        for line in Table.of(SPEC, rows).lines
    }
    assert titles == {'LORE': 60.0, 'LORE, stage one': 55.0}


def test_order_of_shots() -> None:
    rows = [
        dict(row('lore', 'cub', 0, 1.0), shots=shots)
        for shots in (None, 16, 0)
    ]
    lines = Table.of(SPEC, rows).lines
    assert [line.shots for line in lines] == [0, 16, None]


def test_published_beside_ours() -> None:
    published = dict(
        sources=dict(p='A paper.'),
        figures=[
            dict(
                source='p',
                black_box='clip-b16',
                method='lore',
                shots=4,
                top1=dict(dtd=80.0, cub=70.0, mean=75.5),
            ),
            dict(
                source='p',
                black_box='clip-b16',
                method='probe',
                shots=4,
                stage='one',
                top1=dict(dtd=80.0, cars=70.0, mean=75.0),
            ),
            dict(
                source='p',
                black_box='clip-b32',
                method='lore',
                shots=4,
                top1=dict(dtd=1.0),
            ),
        ],
    )
    lines = to_markdown(Table.of(SPEC, ROWS, published)).splitlines()
    assert lines[4:] == [
        '| 4 | LORE, published [1] |  | 80.00 | 70.00 | 75.50 |',
        '| 4 | probe, stage one, published [1] |  | 80.00 |  |  |',
        '',
        '[1] A paper.',
    ]


def test_mean_of_other_data_sets_is_not_shown() -> None:
    entry = dict(
        source='p',
        black_box='clip-b16',
        method='lore',
        shots=4,
        sets=['dtd', 'cars'],
        top1=dict(mean=75.0),
    )
    published = dict(sources=dict(p='A paper.'), figures=[entry])
    assert len(Table.of(SPEC, ROWS, published).lines) == 2
    entry['sets'] = ['dtd', 'cub']
    (line,) = [x for x in Table.of(SPEC, ROWS, published).lines if x.published]
    assert line.figures == {MEAN: Figure(75.0, None, 0)}


def test_shipped_figures_agree_with_their_means() -> None:
    published = yaml.safe_load(PUBLISHED.read_text())
    checked = 0
    for entry in published['figures']:
        assert entry['source'] in published['sources']
        top1 = dict(entry['top1'])
        mean = top1.pop(MEAN, None)
        if mean is not None and top1:
            assert statistics.fmean(top1.values()) == pytest.approx(
                mean, abs=0.011
            ), entry
            checked += 1
    assert checked == 4


@pytest.mark.parametrize(
    'number,text', [(0, '0'), (77_000, '77 k'), (2_711_000, '2.71 M')]
)
def test_short_number(number, text) -> None:
    assert short_number(number) == text
