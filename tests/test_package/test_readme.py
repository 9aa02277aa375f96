"""README and docs say what is there."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from lore_mm.registry import MODELS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')])


def test_example_config_builds() -> None:
    text = (ROOT / 'docs' / 'architecture.md').read_text()
    (example,) = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    config = Config.fromstring(example, '.py')
    config.model.backbone.black_box.checkpoint = None
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    assert type(model).__name__ == 'ImageClassifier'
    assert model.neck.num_classes == model.head.num_classes
    assert model.backbone.black_box.embed_dims == model.head.in_channels


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_and_files_exist(page) -> None:
    text = page.read_text()
    links = re.findall(r'\]\(([^)#\s]+)', text)
    linked = [page.parent / link for link in links if '://' not in link]
    named = re.findall(r'(?<![\w/])((?:configs|tools|docs)/[\w./-]+\w)', text)
    for file in [*linked, *(ROOT / name for name in named)]:
        assert file.exists(), file


def test_readme_is_one_screen() -> None:
    text = (ROOT / 'README.md').read_text()
    assert len(text.splitlines()) < 70
