"""Find the configs that ship with the package."""

import difflib
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent
_INSTALLED = _PACKAGE / '.mim'

# How many near matches an error names.
_MAX_NAMED = 5


def config_roots() -> list[Path]:
    """Folders that hold ``configs/``, in the order they are searched.

    The current folder, then the checkout (for an editable install), then the
    copy inside an installed wheel. Folders without ``configs/`` are left out,
    except the current one.
    """
    packaged = [root for root in (_CHECKOUT, _INSTALLED) if _is_root(root)]
    return [Path.cwd(), *packaged]


def find_config(name: str | Path) -> Path:
    """Find a config by its path, wherever the package is installed.

    Args:
        name (str | Path): A path of any file, or the name of a shipped config,
            with or without ``configs/`` in front and ``.py`` behind:
            ``configs/lore/vit-s_textile.py`` or ``lore/vit-s_textile``.

    Returns:
        Path: Absolute path of the file.

    Raises:
        FileNotFoundError: No such file; the message names near matches.
    """
    wanted = Path(name).expanduser()
    forms = [wanted]
    if wanted.suffix != '.py':
        forms.append(wanted.with_name(f'{wanted.name}.py'))
    roots = config_roots()
    for root in roots:
        for form in forms:
            for file in (root / form, root / 'configs' / form):
                if file.is_file():
                    return file.resolve()
    raise FileNotFoundError(_not_found(str(name), roots))


def find_tool(name: str) -> Path:
    """Where a tool of this package is: in the checkout, or installed.

    Args:
        name (str): Path below ``tools/``, such as ``'test.py'``.

    Returns:
        Path: Below the current folder where it is there, else absolute. A
        tool that is nowhere is returned as ``tools/<name>``.
    """
    here, *packaged = config_roots()
    for root in packaged:
        path = root / 'tools' / name
        if path.is_file():
            return path.relative_to(here) if here in path.parents else path
    return Path('tools', name)


def _is_root(folder: Path) -> bool:
    # A wheel sits in site-packages, beside which another project may have
    # left a folder `configs`: a checkout also has the file that builds it.
    if folder == _CHECKOUT and not (folder / 'setup.py').is_file():
        return False
    return (folder / 'configs').is_dir()


def _not_found(name: str, roots: list[Path]) -> str:
    """The message for a config that is in none of the ``roots``."""
    known = sorted({known for root in roots for known in _shipped(root)})
    near = _near(name, known)
    if near:
        hint = f'did you mean {", ".join(near)}?'
    elif known:
        hint = f'choose one of {", ".join(known)}.'
    else:
        hint = 'no configs are installed: give the path of a file.'
    searched = ', '.join(str(root) for root in roots)
    return f'config {name!r} was not found under {searched}; {hint}'


def _shipped(root: Path) -> list[str]:
    """Configs of ``root`` that can be run, as ``configs/<kind>/<name>.py``."""
    folder = root / 'configs'
    return [
        file.relative_to(root).as_posix()
        for file in folder.rglob('*.py')
        if '_base_' not in file.parts
    ]


def _near(name: str, known: list[str]) -> list[str]:
    """Those of ``known`` that look like ``name``, nearest first."""
    stems = {Path(path).stem: path for path in reversed(known)}
    by_path = difflib.get_close_matches(name, known, n=_MAX_NAMED, cutoff=0.7)
    by_stem = difflib.get_close_matches(
        Path(name).stem, stems, n=_MAX_NAMED, cutoff=0.6
    )
    found = dict.fromkeys([stems[stem] for stem in by_stem] + by_path)
    return list(found)[:_MAX_NAMED]
