import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import normalize

from lore_mm.models.knowledge import EmbeddingFile, build_class_embeddings

NAMES = ['crow', 'gull', 'black_bird']
ARRAY = torch.tensor([[3.0, 4.0], [1.0, 0.0], [-2.0, 1.0]])
ROWS = dict(zip(NAMES, ARRAY, strict=True))


def write_npz(path, layout):
    arrays = {key: value.numpy() for key, value in ROWS.items()}
    if layout == 'array':
        arrays = dict(names=np.array(NAMES), vectors=ARRAY.numpy())
    np.savez(path, **arrays)


def write_safetensors(path, layout):
    if layout == 'array':
        save_file({'x': ARRAY}, path, {'names': json.dumps(NAMES)})
    else:
        save_file({key: value.clone() for key, value in ROWS.items()}, path)


def write_torch(path, layout):
    array = dict(names=NAMES, embeddings=ARRAY)
    torch.save(array if layout == 'array' else ROWS, path)


def write_json(path, layout):
    content = {key: value.tolist() for key, value in ROWS.items()}
    if layout == 'array':
        content = dict(names=NAMES, embeddings=ARRAY.tolist())
    path.write_text(json.dumps(content))


WRITERS = {
    '.npz': write_npz,
    '.safetensors': write_safetensors,
    '.pt': write_torch,
    '.pth': write_torch,
    '.json': write_json,
}


def file_cfg(path):
    return dict(type='lore_mm.EmbeddingFile', path=str(path))


@pytest.mark.parametrize('layout', ['array', 'rows'])
@pytest.mark.parametrize('suffix', sorted(WRITERS))
def test_formats_and_layouts(tmp_path, cache_root, suffix, layout):
    path = tmp_path / f'vectors{suffix}'
    WRITERS[suffix](path, layout)
    result = build_class_embeddings(file_cfg(path), ['gull', 'black_bird'])
    torch.testing.assert_close(result, normalize(ARRAY[1:], dim=1))
    assert not cache_root.exists()  # the file is its own cache


def test_class_called_names(tmp_path):
    path = tmp_path / 'vectors.json'
    path.write_text(json.dumps({'names': [0, 2], 'crow': [3, 0]}))
    result = build_class_embeddings(file_cfg(path), ['names', 'crow'])
    assert result.tolist() == [[0, 1], [1, 0]]


def test_missing_classes_are_named(tmp_path):
    path = tmp_path / 'vectors.json'
    write_json(path, 'rows')
    with pytest.raises(
        ValueError,
        match=r"no embedding for 2 of 3 classes: 'owl', 'tit'. It has 'crow'"
        r'.*SentenceEncoder',
    ):
        build_class_embeddings(file_cfg(path), ['owl', 'gull', 'tit'])


def test_missing_file():
    with pytest.raises(FileNotFoundError, match="'no.npz' does not exist"):
        EmbeddingFile('no.npz')


def test_unknown_format(tmp_path):
    path = tmp_path / 'vectors.csv'
    path.touch()
    with pytest.raises(ValueError, match=r"one of \['.json', '.npz'"):
        EmbeddingFile(str(path))


@pytest.mark.parametrize('suffix', sorted(WRITERS))
def test_damaged_file(tmp_path, suffix):
    path = tmp_path / f'vectors{suffix}'
    WRITERS[suffix](path, 'rows')
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match='damaged or not a|not unpickled'):
        EmbeddingFile(str(path)).encode(NAMES)


class Evil:
    def __reduce__(self):
        return print, ('code ran',)


@pytest.mark.parametrize('suffix', ['.pt', '.npz'])
def test_code_in_a_file_is_not_run(tmp_path, capsys, suffix):
    path = tmp_path / f'vectors{suffix}'
    if suffix == '.pt':
        torch.save({'crow': Evil()}, path)
    else:
        np.savez(path, crow=np.array([Evil()], dtype=object))
    with pytest.raises(ValueError, match='not unpickled|allow_pickle'):
        EmbeddingFile(str(path)).encode(['crow'])
    assert 'code ran' not in capsys.readouterr().out


@pytest.mark.parametrize(
    'content, message',
    [
        ([1, 2], 'must hold a mapping of class names'),
        ({}, 'must hold a mapping of class names'),
        ({'crow': [1, 2], 'gull': [1]}, r'one length, got shapes'),
        ({'crow': [[1, 2]]}, r'one length, got shapes \[\(1, 2\)\]'),
        ({'crow': 'caw'}, "'crow' must be an array of numbers"),
        ({'names': ['a', 'b'], 'x': [[1, 2]]}, 'array of 2 rows'),
        ({'names': ['a', 'a'], 'x': [[1], [2]]}, 'names a class twice'),
        ({'names': ['a'], 'x': [[1]], 'y': [[1]]}, 'one array beside'),
    ],
)
def test_wrong_layout(tmp_path, content, message):
    path = tmp_path / 'vectors.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        EmbeddingFile(str(path)).encode(['crow'])


def test_identity_is_that_of_the_content(tmp_path):
    first, second = tmp_path / 'a.json', tmp_path / 'b.json'
    write_json(first, 'rows')
    second.write_bytes(first.read_bytes())
    assert (
        EmbeddingFile(str(first)).identity()
        == EmbeddingFile(str(second)).identity()
    )
    write_json(second, 'array')
    assert (
        EmbeddingFile(str(first)).identity()
        != EmbeddingFile(str(second)).identity()
    )
