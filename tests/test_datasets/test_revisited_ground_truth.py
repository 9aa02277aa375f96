"""Reading the ground truth of revisited retrieval."""

import copyreg
import json
import os
import pickle

import numpy as np
import pytest

from lore_mm.datasets import read_ground_truth, relevance


def truth(**changes):
    content = dict(
        gnd=[
            dict(bbx=[0, 0, 9, 9], easy=[0], hard=[1], junk=[2]),
            dict(bbx=[1.5, 2, 3, 4], easy=[], hard=[3], junk=[]),
        ],
        imlist=['a/x', 'a/y', 'b/x', 'z'],
        qimlist=['q0', 'q1'],
    )
    return {**content, **changes}


def write(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_pickle_and_json_are_the_same(tmp_path, protocol):
    binary = write(tmp_path / 'gnd.pkl', truth(), protocol)
    text = tmp_path / 'gnd.json'
    text.write_text(json.dumps(truth(), indent=2))
    assert read_ground_truth(binary) == read_ground_truth(text) == truth()


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_pickle_that_would_run_code_is_refused(tmp_path, protocol):
    mark = tmp_path / 'ran'
    content = truth(gnd=[Evil(str(mark))])
    path = write(tmp_path / 'gnd.pkl', content, protocol)
    with pytest.raises(ValueError, match=r'refused: it names \w+\.mkdir'):
        read_ground_truth(path)
    assert not mark.exists()


def test_extension_codes_are_refused_too(tmp_path):
    copyreg.add_extension(os.mkdir.__module__, 'mkdir', 240)
    try:
        mark = tmp_path / 'ran'
        path = write(tmp_path / 'gnd.pkl', Evil(str(mark)))
        assert b'mkdir' not in path.read_bytes()
        with pytest.raises(ValueError, match=r'refused: it names \w+\.mkdir'):
            read_ground_truth(path)
        assert not mark.exists()
    finally:
        copyreg.remove_extension(os.mkdir.__module__, 'mkdir', 240)


def test_arrays_are_refused_with_the_way_out(tmp_path):
    path = write(tmp_path / 'gnd.pkl', truth(gnd=np.zeros(2)))
    with pytest.raises(ValueError, match=r'numpy.* Save plain lists, or JSON'):
        read_ground_truth(path)


@pytest.mark.parametrize(
    'data', [b'', b'\x80\x04', b'hello', b'{"gnd": ', b'\x80\x04]\x94}b.']
)
def test_damaged_file(tmp_path, data):
    path = tmp_path / 'gnd.pkl'
    path.write_bytes(data)
    with pytest.raises(ValueError, match='neither a pickle of plain lists'):
        read_ground_truth(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='gnd.pkl.* does not exist'):
        read_ground_truth(tmp_path / 'gnd.pkl')


def entries(**change):
    return [{**truth()['gnd'][0], **change}, truth()['gnd'][1]]


@pytest.mark.parametrize(
    'content,message',
    [
        ([1], 'must be a dict with gnd, imlist, qimlist, got a list'),
        (dict(gnd=[], imlist=[]), 'it lacks qimlist'),
        (
            truth(qimlist=[], gnd=[]),
            r'qimlist must be a list that is not empty, got \[\]; .* a query',
        ),
        (truth(qimlist='q0'), "qimlist must be a list .* got 'q0'"),
        (truth(gnd=[]), 'gnd must be a list that is not empty'),
        (truth(imlist=[1, 2]), 'imlist must hold names, got 1'),
        (truth(qimlist=['q0']), 'gnd has 2 entries for 1 queries'),
        (truth(gnd=[1, 2]), r'gnd\[0\] must be a dict, got 1'),
        (
            truth(gnd=entries(hard=[4])),
            r"gnd\[0\]\['hard'\] names the image 4, but imlist has 4 names",
        ),
        (truth(gnd=entries(easy=[-1])), 'names the image -1'),
        (truth(gnd=entries(easy=[0.5])), 'must hold integers, got 0.5'),
        (truth(gnd=entries(junk=None)), "needs the list 'junk', got None"),
        (
            truth(gnd=entries(junk=[1])),
            r"gnd\[0\] names the image 1 twice, in 'hard' and 'junk'",
        ),
        (truth(gnd=entries(bbx=[0, 0, 0, 5])), 'x1 < x2 and y1 < y2'),
        (
            truth(gnd=[dict(easy=[], hard=[], junk=[0])] * 2),
            'no query has a positive',
        ),
    ],
)
def test_inconsistent_truth(tmp_path, content, message):
    path = write(tmp_path / 'gnd.pkl', content)
    with pytest.raises(ValueError, match=message):
        read_ground_truth(path)


@pytest.mark.parametrize('name', ['roxford5k', 'rparis6k'])
def test_published_truth(real_data, name):
    found = read_ground_truth(
        real_data / 'revisitop' / name / f'gnd_{name}.pkl'
    )
    sizes = dict(roxford5k=(4993, 70, 2), rparis6k=(6322, 70, 0))[name]
    without_easy = sum(not entry['easy'] for entry in found['gnd'])
    lengths = len(found['imlist']), len(found['qimlist'])
    assert (*lengths, without_easy) == sizes


def test_relevance_by_the_end_of_a_path():
    relevant = relevance(truth())
    assert relevant('some/q0.jpg', '/root/a/x.png') is True
    assert relevant('q0.jpg', 'a/y.jpg') is True
    assert relevant('q0.jpg', 'z.jpg') is False
    assert relevant('q0.jpg', 'b/x.jpg') is None  # junk
    assert relevant('q0.jpg', 'x.jpg') is None  # not known
    assert relevant('q9.jpg', 'z.jpg') is None
