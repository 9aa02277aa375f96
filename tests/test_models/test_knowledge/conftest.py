import pytest


@pytest.fixture(autouse=True)
def cache_root(tmp_path, monkeypatch):
    """A cache of its own for each test."""
    root = tmp_path / 'cache'
    monkeypatch.setenv('LORE_CACHE', str(root))
    return root
