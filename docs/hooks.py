"""What MkDocs does beside its plugins: notebooks, and roles in docstrings.

A page asks for the cells and outputs of a notebook beside it by a line
``<!-- notebook: NAME.ipynb -->``.
"""

import json
import re
from pathlib import Path

MARK = re.compile(r'^<!-- notebook: (\S+\.ipynb) -->$', re.MULTILINE)
# Docstrings are written for Sphinx as well: :class:`~lore_mm.X`.
ROLE = re.compile(r':(?:class|func|meth|attr|mod):<code>~?([^<]+)</code>')


def on_page_markdown(markdown: str, page: object, **_: object) -> str:
    """Called by MkDocs with the source of each page."""
    folder = Path(page.file.abs_src_path).parent
    return MARK.sub(
        lambda found: notebook_markdown(folder / found[1]), markdown
    )


def on_page_content(html: str, **_: object) -> str:
    """Called by MkDocs with the body of each page."""
    return ROLE.sub(lambda found: f'<code>{found[1]}</code>', html)


def notebook_markdown(path: Path) -> str:
    """Cells and outputs of a notebook as Markdown.

    Args:
        path (Path): A notebook of format 4.
    """
    parts = []
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown':
            parts.append(source)
        elif cell['cell_type'] == 'code':
            parts.append(f'```python\n{source}\n```')
            parts += map(_output, cell['outputs'])
    return '\n\n'.join(parts)


def _output(output: dict) -> str:
    data = output.get('data', {})
    if 'image/png' in data:
        picture = ''.join(data['image/png'].split())
        return f'<img alt="output" src="data:image/png;base64,{picture}">'
    text = ''.join(output.get('text', data.get('text/plain', '')))
    return f'```text\n{text.rstrip()}\n```'
