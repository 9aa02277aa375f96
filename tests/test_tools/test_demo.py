"""tools/demo.py: the page in a browser, and what its controls do."""

import os
import runpy
import shutil
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from .conftest import CHECKOUT

DEMO = CHECKOUT / 'tools' / 'demo.py'
CHROMIUM = shutil.which('chromium') or '/usr/bin/chromium'
QUIET = (
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--disable-dev-shm-usage',
)  # fmt: skip
START = 240  # seconds; only a page that hangs needs them
WAIT = 120_000  # milliseconds
LOCAL = ('http://127.0.0.1:', 'ws://127.0.0.1:', 'data:', 'blob:')
SRC = 'id => document.querySelector(`#map-${id} img`)?.src'
CHANGED = """([id, old]) => {
    const now = document.querySelector(`#map-${id} img`);
    return now && now.complete && now.src !== old;
}"""


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'photo.png')
    return tmp_path / 'photo.png'


@pytest.fixture
def address(tiny_config, tmp_path):
    """Address of the page of a random model, in a process of its own."""
    pytest.importorskip('gradio', reason='gradio is not installed')
    paths = [str(CHECKOUT), os.environ.get('PYTHONPATH')]
    env = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(filter(None, paths)),
        GRADIO_TEMP_DIR=str(tmp_path / 'uploads'),
        NO_PROXY='127.0.0.1,localhost',
        no_proxy='127.0.0.1,localhost',
    )
    env.pop('GRADIO_SERVER_PORT', None)
    with (tmp_path / 'errors.txt').open('w') as errors:
        process = subprocess.Popen(
            [sys.executable, str(DEMO), str(tiny_config()), '--device', 'cpu'],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    timer = threading.Timer(START, process.kill)
    timer.start()
    try:
        lines = iter(process.stdout.readline, '')
        said = next((line for line in lines if 'page is at' in line), None)
        timer.cancel()
        assert said, (tmp_path / 'errors.txt').read_text()
        yield said.split()[4]
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def browser():
    """Headless Chromium."""
    api = pytest.importorskip(
        'playwright.sync_api', reason='playwright is not installed'
    )
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip('there is no chromium')
    with api.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=list(QUIET), timeout=WAIT
        )
        yield browser
        browser.close()


def test_page(browser, address, photo, tmp_path):
    page = browser.new_page(viewport=dict(width=390, height=800))
    page.set_default_timeout(WAIT)
    asked, faults = [], []
    page.on('request', lambda request: asked.append(request.url))
    page.on('pageerror', lambda error: faults.append(error))
    page.goto(address)
    upload = page.locator('#upload input[type=file]')

    def changed(old):
        page.wait_for_function(CHANGED, arg=['LORE', old])
        return page.evaluate(SRC, 'LORE')

    upload.set_input_files(photo)
    first = changed(None)
    classes = page.locator('#classes').inner_text()
    assert classes.count('%') == 3
    assert 'CLS' in page.locator('#message').inner_text()
    page.locator('#layer input[type=range]').fill('1')
    second = changed(first)
    page.locator('#map-image img').click(position=dict(x=5, y=5))
    third = changed(second)
    assert 'row 1, column 1' in page.locator('#message').inner_text()
    page.locator('#rollout input').check()
    fourth = changed(third)
    page.locator('#cls').click()
    changed(fourth)
    # Nothing of the page is wider than a phone.
    assert page.evaluate('document.documentElement.scrollWidth') <= 390

    (tmp_path / 'notes.txt').write_text('no image')
    page.locator('#upload button[aria-label="Clear"]').first.click()
    page.get_by_text('Upload an image or pick').wait_for()
    upload.set_input_files(tmp_path / 'notes.txt')
    page.get_by_text("image 'notes.txt' cannot be read").wait_for()
    assert page.locator('#map-LORE img').count() == 0
    page.locator('#examples img').first.click()
    changed(None)
    assert [url for url in asked if not url.startswith(LOCAL)] == []
    assert faults == []
    errors = (tmp_path / 'errors.txt').read_text()
    assert 'Traceback' not in errors


class _Explorer:
    """Tells what it is asked for."""

    def open(self, path):
        if path.endswith('.txt'):
            raise ValueError('image cannot be read: it is none.')
        return {'bird': 1.0}, SimpleNamespace(patch_size=16)

    def pictures(self, attention, **asked):
        return {'image': asked, 'B-B': 'bare'}, None

    def query_at(self, attention, x, y):
        return x / 2, y / 2


@pytest.fixture
def demo():
    pytest.importorskip('gradio', reason='gradio is not installed')
    return SimpleNamespace(**runpy.run_path(str(DEMO), run_name='demo'))


def test_controls_count_from_one(demo):
    page = demo.Page(_Explorer(), ['example.png'])
    found = page.open('a.png', 12, 0, False)
    state, query, text, scores, image, *maps = found
    assert image == dict(layer=11, head=None, query='cls', rollout=False)
    assert (query, scores, maps) == (
        'cls',
        {'bird': 1.0},
        ['bare', None, None],
    )
    click = SimpleNamespace(index=(40, 70))
    query, text, image, *_ = page.ask(click, state, 3, 2, False)
    assert image == dict(layer=2, head=1, query=(20, 35), rollout=False)
    assert 'row 3, column 2' in text
    text, image, *_ = page.show(state, 'cls', 3, 2, True)
    assert image['head'] is None  # rollout is over all heads
    picked = SimpleNamespace(index=0)
    assert page.open_example(picked, 1, 0, False)[2] == found[2]


def test_messages_take_the_place_of_pictures(demo):
    page = demo.Page(_Explorer(), [])
    state, query, text, *rest = page.open('notes.txt', 1, 0, False)
    assert state is None
    assert 'image cannot be read' in text
    assert set(rest) == {None}
    assert page.open(None, 1, 0, False)[2] == demo.HINT
    click = SimpleNamespace(index=(1, 1))
    assert page.ask(click, None, 1, 0, False)[:2] == ('cls', demo.HINT)


def test_damaged_examples_are_left_out(demo, photo, tmp_path):
    damaged = tmp_path / 'damaged.png'
    damaged.write_bytes(photo.read_bytes()[:100])
    page = demo.Page(_Explorer(), [damaged, photo, tmp_path / 'gone.png'])
    with pytest.warns(UserWarning, match='It is left out') as said:
        assert len(page._gallery().value) == 1
    assert page.examples == [photo]
    for warning, name in zip(said, ('damaged', 'gone'), strict=True):
        assert f"{name}.png' " in str(warning.message)
        assert str(warning.message).endswith('. It is left out.')
    with pytest.warns(UserWarning, match='It is left out'):
        assert demo.Page(_Explorer(), [damaged])._gallery() is None


@pytest.mark.parametrize(
    'options, message',
    [
        (['--topk', '0'], '--topk must be at least 1'),
        (['--port', '0'], '--port must be in [1, 65535]'),
    ],
)
def test_options_out_of_range(demo, call_tool, capsys, options, message):
    with pytest.raises(SystemExit):
        call_tool('demo.py', 'no-such-config', *options)
    assert message in capsys.readouterr().err


def test_missing_files_are_named(demo, call_tool):
    with pytest.raises(SystemExit, match='no-such-config'):
        call_tool('demo.py', 'no-such-config')
