"""Importing the package, or its stack through it, prints nothing."""

import os
import subprocess
import sys
import warnings

import pytest

from lore_mm.utils import quiet_imports

NOISE = 'Could not import OneDL'
WARNING = 'Fail to import ``MultiScaleDeformableAttention`` from x'


def _run(code: str) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONWARNINGS'}
    return subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
    )


@pytest.mark.parametrize(
    'code',
    [
        'import lore_mm',
        'import lore_mm.models, lore_mm.datasets, lore_mm.engine',
        'from lore_mm.utils import quiet_imports\n'
        'with quiet_imports():\n'
        '    import mmpretrain.datasets, mmseg.datasets, mmseg.models',
    ],
)
def test_import_is_silent(code) -> None:
    done = _run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_only_noise_is_dropped(capsys) -> None:
    with quiet_imports():
        print(NOISE)
        print('kept')
        print(f'{NOISE}: kept too')
        print('no newline', end='')
    print('|after')
    print(NOISE)
    assert capsys.readouterr().out == (
        f'kept\n{NOISE}: kept too\nno newline|after\n{NOISE}\n'
    )


def test_only_known_warning_is_dropped() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        with quiet_imports():
            warnings.warn(WARNING, stacklevel=1)
            warnings.warn('kept', stacklevel=1)
        warnings.warn(WARNING, stacklevel=1)
    assert [str(w.message) for w in seen] == ['kept', WARNING]


def test_errors_and_text_come_through(capsys) -> None:
    with pytest.raises(ImportError, match='no such'), quiet_imports():
        print('before', end='')
        raise ImportError('no such')
    assert capsys.readouterr().out == 'before'
