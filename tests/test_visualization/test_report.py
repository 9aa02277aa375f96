"""The page of an adaptation and its figures."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from lore_mm.visualization.report import (
    Mistake,
    PerClass,
    Report,
    draw_confusion,
    draw_curve,
    encode_picture,
    render_report,
)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert('RGB'))


def report(classes=3, wrong=1, **more):
    picture = encode_picture(np.zeros((8, 8, 3), np.uint8))
    rows = [
        PerClass(f'name {i}', i, 50.0 if i else None, None, '', 4)
        for i in range(classes)
    ]
    mistake = Mistake(
        'a.png', 'x', 'y' if wrong else 'x', 90.0, 10.0, [('seen', picture)]
    )
    values = dict(
        title='LORE on photos',
        accuracy=90.0,
        low=80.0,
        high=95.4,
        probe=85.0,
        images=10,
        facts={'Images': 'some'},
        classes=rows,
        mistakes=[mistake],
        number_wrong=wrong,
        curves={'loss': draw_curve([(1, 2.0), (2, 1.0)], 'loss')},
        confusion=draw_confusion(np.eye(classes, dtype=int), ['c'] * classes),
        commands={'Test': 'python tools/test.py'},
    )
    return Report(**{**values, **more})


def test_page_says_what_it_was_given():
    page = render_report(report(notes=['few images']))
    for text in ('90.0 %', '85.0 %', '80 to 95 %', 'few images', 'name 2'):
        assert text in page
    assert '1 of 10 test images is named wrong.' in ' '.join(page.split())
    assert 'Not read' not in page
    assert page.count('src="data:image/png') == 2
    assert page.count('src="data:image/jpeg') == 1
    assert not re.search(r'https?:|<script|<link|url\(|@import', page)


def test_page_without_mistakes():
    page = ' '.join(render_report(report(wrong=0)).split())
    assert 'Closest calls' in page
    assert 'All test images are named right' in page
    assert 'taken for <b>' not in page


def test_page_with_more_mistakes_than_pictures():
    page = ' '.join(render_report(report(wrong=7)).split())
    assert '7 of 10 test images are named wrong; here are the 1 whose' in page


def test_names_are_text():
    bad = '</title><script>alert(1)</script>'
    page = render_report(report(title=bad, left_out=[bad], notes=[bad]))
    assert '<script' not in page
    assert page.count('&lt;script&gt;') == 4  # the title stands twice


@pytest.mark.parametrize('classes', [2, 35, 120])
def test_many_classes_are_folded_away(classes):
    page = render_report(report(classes=classes))
    assert ('<details>' in page) == (classes > 30)
    assert f'name {classes - 1}' in page


def test_confusion_shows_the_counts():
    names = ['$x_1$', 'a' * 60]
    same = pixels(draw_confusion(np.array([[5, 0], [0, 5]]), names))
    other = pixels(draw_confusion(np.array([[0, 5], [5, 0]]), names))
    assert same.shape == other.shape
    assert (same != other).any()
    empty = draw_confusion(np.array([[0, 0], [0, 5]]), names)  # no nan
    assert pixels(empty).std() > 0


def test_curve_without_points():
    empty = pixels(draw_curve([], 'accuracy', per_cent=True))
    line = pixels(draw_curve([(1, 50.0), (2, 90.0)], 'accuracy', True))
    assert empty.shape == line.shape
    assert (empty != line).any()
